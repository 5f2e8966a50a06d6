"""The table of folds that a user brings."""

import re
from collections.abc import Container
from pathlib import Path, PurePosixPath

from ser.config import Protocol
from ser.errors import UserError
from ser.tables import read_table


def path_in_corpus(path: str, known: Container[str]) -> str:
    """Return the path of a recording below its corpus, also for an absolute path.

    >>> path_in_corpus("/data/RAVDESS/Actor_01/a.wav", {"Actor_01/a.wav"}), path_in_corpus("b.wav", {})
    ('Actor_01/a.wav', 'b.wav')
    """
    parts = PurePosixPath(path).parts
    ends = ("/".join(parts[start:]) for start in range(1, len(parts)))
    return next((end for end in ends if end in known), path) if re.match(r"/|[A-Za-z]:/", path) else path


def read_folds_csv(protocol: Protocol) -> dict[str, int | None]:
    """Return the fold of each path in `protocol.folds_csv`, with `/` between folders.

    Raises:
        UserError: there is no such file, it lacks a column, a fold is no whole number, or a path stands in two folds.
    """
    path = Path(protocol.folds_csv or "").expanduser()
    if not path.is_file():
        raise UserError(f"protocol.folds_csv={protocol.folds_csv}: there is no such file")
    places: dict[str, int | None] = {}
    for line, name, fold in read_table(path, ("path", "fold"), str(path))[["path", "fold"]].itertuples():
        if not re.fullmatch(r"([0-9]+(\.0*)?)?", fold.strip()):  # 1.0: pandas, where another fold is empty
            raise UserError(f"{path}: line {line}: fold '{fold}' of {name}: it must be a whole number, or empty")
        place = int(fold.strip().partition(".")[0]) if fold.strip() else None
        recording = str(PurePosixPath(name.strip().replace("\\", "/")))
        if places.setdefault(recording, place) != place:
            raise UserError(f"{path}: line {line}: {recording} stands in two folds, {places[recording]} and {place}")
    return places
