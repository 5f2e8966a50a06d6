"""Emozionalmente: Italian sentences with acted emotions, recorded by a crowd (Catania).

    audio/1613655062436.wav     a number; the rest stands in tables
    metadata/samples.csv        file_name,actor,emotion_expressed, sentence ...
    metadata/users.csv          username,gender, age ...
    metadata/evaluations.csv    file_name,emotion_recognized ...: about five listeners for each recording

6902 recordings of 431 amateurs, 16 kHz, 150 of them 44.1 kHz. `voted` takes the label that most listeners chose.
https://zenodo.org/records/12616095, CC BY 4.0.
"""

from collections import Counter, defaultdict
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

from ser.corpora.download import Archive
from ser.corpora.facts import Facts, Format
from ser.corpora.file_names import FileNames, scan_names
from ser.corpora.labels import normalise
from ser.corpora.published_tables import Row, fill_in, look_up, need_table, read_rows
from ser.corpora.recordings import Recording, Scan

EMOTIONS = {
    label: normalise(label) for label in ("anger", "disgust", "fear", "joy", "neutrality", "sadness", "surprise")
}
ACTED = Facts(
    description="Emozionalmente, acted emotions (CC BY 4.0)",
    voices="431 amateurs who speak 18 Italian sentences with acted emotions",
    source="https://zenodo.org/records/12616095",
    license="cc-by-4.0",
    language="it",
    format=Format(sample_rate=16_000, shortest=0.7, longest=14.0, other_rates=(44_100,)),
    clips=dict.fromkeys(EMOTIONS.values(), 986),
    speakers=431,
    archives=(
        Archive(
            "https://zenodo.org/records/12616095/files/emozionalmente.zip",
            558_910_248,
            "md5:398c6502dd2b0e1e810f927c12897547",
        ),
    ),
)
VOTED = replace(ACTED, description="Emozionalmente, emotions by the votes of listeners (CC BY 4.0)", clips={})
VARIANTS = {"acted": ACTED, "voted": VOTED}
NAMES = FileNames(corpus="Emozionalmente", pattern="[0-9]+")
GENDERS = {"m": "male", "f": "female"}


def scan(root: Path, variant: str = "acted") -> Scan:
    """List the recordings with the labels of a variant.

    Raises:
        UserError: see `scan_names`; or one of the tables is not there, or cannot be read.
    """
    samples = read_rows(need_table(root, "samples.csv"), ["file_name", "actor", "emotion_expressed"])
    users = read_rows(need_table(root, "users.csv"), ["username", "gender"])
    genders = {row["username"]: GENDERS.get(row["gender"].lower()[:1], "") for row in users}
    votes = read_votes(root) if variant == "voted" else None
    found = scan_names(root, NAMES)
    rows = {stem(row["file_name"]): row for row in samples}
    fill_in(found, rows, "samples.csv", partial(take_row, genders, votes))
    return found


def read_votes(root: Path) -> dict[str, Counter[str]]:
    """Return the number of votes for each emotion of each recording."""
    votes = defaultdict[str, Counter[str]](Counter)
    for row in read_rows(need_table(root, "evaluations.csv"), ["file_name", "emotion_recognized"]):
        votes[stem(row["file_name"])][row["emotion_recognized"]] += 1
    return votes


def stem(name: str) -> str:
    return PurePosixPath(name).stem


def take_row(
    genders: dict[str, str], votes: dict[str, Counter[str]] | None, recording: Recording, row: Row
) -> Recording | str:
    label, table = row["emotion_expressed"], "samples.csv"
    if votes is not None:
        first, *others = [*votes.get(recording.name, Counter()).most_common(2), ("", 0)]
        if first[1] == others[0][1]:
            return "recordings without a majority of votes"
        label, table = first[0], "evaluations.csv"
    emotion = look_up(EMOTIONS, label, table, "emotion")
    return replace(recording, emotion=emotion, speaker=row["actor"], gender=genders.get(row["actor"], ""))
