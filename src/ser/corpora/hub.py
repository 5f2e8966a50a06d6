"""A data set of the Hugging Face hub, or a folder in its layout, read by `datasets`."""

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from ser.config.corpus import Corpus
from ser.corpora.facts import Facts
from ser.corpora.recordings import Recording, Scan
from ser.corpora.table import OPTIONAL, SPLITS, UNKNOWN
from ser.errors import UserError
from ser.files import replacing, write_json

FACTS = Facts("a data set of the Hugging Face hub")
ROWS = "rows.json"
AUDIO, EMOTION = "audio", "emotion"
LABEL_COLUMNS = (EMOTION, "label", "labels")
"""Tried in this order where `corpus.columns` names none."""


def make_root(corpus: Corpus, target: Path) -> Path:
    """Write the recordings of a data set below a prepared folder, and return their folder.

    Raises:
        UserError: the data set is not there, or has no such columns.
    """
    folder = target / "recordings"
    with replacing(folder, folder=True) as temporary:
        temporary.mkdir(parents=True)
        splits = load_splits(corpus)
        written = [row for split, rows in splits.items() for row in write_split(temporary, split, rows, corpus)]
        write_json(temporary / ROWS, {"recordings": written})
    return folder


def load_splits(corpus: Corpus) -> dict[str, Any]:
    """Return the data set by split, with undecoded audio."""
    import datasets
    from datasets.exceptions import DatasetsError

    try:
        loaded = datasets.load_dataset(str(Path(corpus.dataset or "").expanduser()))
    except (DatasetsError, OSError, ValueError) as error:
        message = f"corpus.dataset={corpus.dataset}: {' '.join(str(error).split())[:300]}"
        if isinstance(error.__cause__, ImportError):
            message = (
                f"corpus.dataset={corpus.dataset}: datasets needs torchcodec for a folder of audio, which is "
                "not installed; give corpus=folders, or corpus=table with its metadata.csv"
            )
        raise UserError(message) from error
    splits = dict(loaded) if isinstance(loaded, dict) else {"train": loaded}
    audio = corpus.columns.get(AUDIO, AUDIO)
    for name, rows in splits.items():
        if audio not in rows.column_names:
            raise UserError(
                f"corpus.dataset={corpus.dataset}: the split {name} has no column '{audio}', only "
                f"{', '.join(rows.column_names)}; name it with corpus.columns={{audio: COLUMN}}"
            )
        splits[name] = rows.cast_column(audio, datasets.Audio(decode=False))
    return splits


def write_split(folder: Path, split: str, rows: Any, corpus: Corpus) -> Iterator[dict[str, str]]:
    """Write the audio of a split, and yield the fields of its recordings."""
    audio, label = corpus.columns.get(AUDIO, AUDIO), find_label_column(rows.column_names, corpus)
    names = getattr(rows.features[label], "names", None)  # of a ClassLabel
    known = {name: corpus.columns.get(name, name) for name in OPTIONAL if name != "split"}
    (folder / split).mkdir()
    for index, row in enumerate(rows):
        suffix = PurePosixPath(row[audio]["path"] or "").suffix or ".wav"
        path = f"{split}/{index:06d}{suffix}"
        content = row[audio]["bytes"]
        if content is None:
            content = Path(row[audio]["path"]).read_bytes()
        (folder / path).write_bytes(content)
        fields = {name: str(row[column]) for name, column in known.items() if row.get(column) is not None}
        emotion = names[row[label]] if names and isinstance(row[label], int) else row[label]
        yield {"path": path, EMOTION: "" if emotion is None else str(emotion), "split": split, **fields}


def find_label_column(columns: list[str], corpus: Corpus) -> str:
    """Return the column of the labels."""
    wanted = [corpus.columns[EMOTION]] if EMOTION in corpus.columns else list(LABEL_COLUMNS)
    if found := [name for name in wanted if name in columns]:
        return found[0]
    raise UserError(
        f"corpus.dataset={corpus.dataset}: it has no column {' or '.join(wanted)}, only {', '.join(columns)}; name the "
        "labels with corpus.columns={emotion: COLUMN}"
    )


def scan(root: Path, corpus: Corpus) -> Scan:
    """List the recordings that `make_root` wrote."""
    if not (root / ROWS).is_file():
        raise UserError(f"root={root}: corpus=hub takes no root; leave it out, and give corpus.dataset")
    found, recordings = Scan(), list[Recording]()
    for row in json.loads((root / ROWS).read_text(encoding="utf-8"))["recordings"]:
        split, speaker = SPLITS.get(row["split"].lower(), row["split"]), row.get("speaker", "")
        fields = {**row, "split": split, "speaker": "" if speaker.lower() in UNKNOWN else speaker}
        if not row[EMOTION].strip():
            found.leave_out("recordings without a label", row["path"])
        else:
            recordings.append(Recording(**fields, id=str(PurePosixPath(row["path"]).with_suffix(""))))
    found.recordings = recordings
    return found
