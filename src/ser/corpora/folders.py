"""Recordings of a user in folders: the folder of a recording is its emotion."""

import re
from pathlib import Path, PurePosixPath

from ser.config.corpus import Corpus
from ser.corpora.facts import Facts
from ser.corpora.recordings import (
    AUDIO_SUFFIXES,
    Recording,
    Scan,
    describe_file,
    files_below,
    is_hidden,
    show,
    why_no_file,
    why_unwritable,
)
from ser.errors import UserError
from ser.rows import Builder
from ser.tables import shorten
from ser.wording import counted

FACTS = Facts("recordings in folders of the user, one for each emotion")


def scan(root: Path, corpus: Corpus) -> Scan:
    """List the recordings below `root`: `angry/a.wav`, or `speaker1/angry/a.wav`.

    Raises:
        UserError: a recording lies in no folder, or `corpus.speaker` finds no speaker in its path.
    """
    found, recordings, lost, nameless = Scan(), Builder(Recording), list[str](), list[str]()
    for path in files_below(root):
        place = PurePosixPath(path)
        if place.suffix.lower() not in AUDIO_SUFFIXES or is_hidden(place) or why_no_file(root, path):
            found.leave_out(describe_file(root, path, "the user"), show(path))
            continue
        if why := why_unwritable(path):
            raise UserError(f"root={root}: {show(path)}: {why}")
        speaker = find_speaker(corpus.speaker, path)
        if len(place.parts) < 2:
            lost.append(show(path))
        elif speaker is None:
            nameless.append(show(path))
        else:
            recordings.append(Recording(path, place.parent.name, speaker, id=place.with_suffix("").as_posix()))
    if lost:
        raise UserError(
            f"root={root}: {counted(len(lost), 'recordings')} in no folder below it: {', '.join(shorten(lost, 10))}; "
            "put each into a folder with the name of its emotion"
        )
    if nameless:
        raise UserError(
            f"corpus.speaker={corpus.speaker}: it finds no speaker in {counted(len(nameless), 'paths')}: "
            f"{', '.join(shorten(nameless, 10))}"
        )
    found.recordings = recordings.finish()
    return found


def find_speaker(expression: str | None, path: str) -> str | None:
    """Return the first group of an expression in a path; empty without an expression, None where it does not match.

    >>> find_speaker("(S[0-9]+)_", "angry/S12_a.wav")
    'S12'
    """
    if expression is None:
        return ""
    match = re.search(expression, path)
    return match[1] if match and match[1] else None
