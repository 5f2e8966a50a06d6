"""IEMOCAP, the Interactive Emotional Dyadic Motion Capture database (Busso et al. 2008).

    Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M012.wav
                              | |  |                    +- who speaks, and the turn
                              | |  +---------------------- dialogue
                              | +------------------------- who wears the markers: NOT the speaker
                              +--------------------------- session 1-5, each with another woman and another man

Labels are lines of Session*/dialog/EmoEvaluation/*.txt: `[start - end] TAB name TAB label TAB [attributes]`.
https://sail.usc.edu/iemocap, a signed release form, for research.
"""

import re
from dataclasses import replace
from pathlib import Path, PurePosixPath

from ser.corpora.facts import Facts, Format
from ser.corpora.file_names import Codes, FileNames, scan_names
from ser.corpora.published_tables import fill_in, look_up
from ser.corpora.recordings import Recording, Scan, files_below
from ser.errors import UserError

FACTS = Facts(
    description="IEMOCAP (research only)",
    voices="ten actors in English dialogues of two, acted and improvised",
    source="https://sail.usc.edu/iemocap",
    license="other",
    commercial=False,
    language="en",
    format=Format(sample_rate=16_000, shortest=0.5, longest=34.2),  # of the usual four classes
    clips={"angry": 1103, "excited": 1041, "happy": 595, "neutral": 1708, "sad": 1084},
    speakers=10,
)
LABELS = {
    "ang": "angry",
    "dis": "disgust",
    "exc": "excited",
    "fea": "fearful",
    "fru": "frustrated",
    "hap": "happy",
    "neu": "neutral",
    "oth": "other",
    "sad": "sad",
    "sur": "surprised",
}
NO_AGREEMENT = "xxx"
LINE = re.compile(r"\[[0-9. -]+\]\t(\S+)\t([a-z]{3})\t")


def add_speaker(codes: Codes) -> Codes:
    """Name the speaker by session and the letter of the last part of the name."""
    number = str(int(codes["number"]))
    return {
        **codes,
        "speaker": number + codes["voice"],
        "session": number,
        "gender": "male" if codes["voice"] == "M" else "female",
    }


NAMES = FileNames(
    corpus="IEMOCAP",
    pattern=r"Ses(?P<number>[0-9]{2})[FM]_(?:impro|script)[0-9]{2}[a-z]?(?:_[0-9]+[a-z]?)?_(?P<voice>[FM])[0-9A-Z]{3}",
    codes={"number": {f"{number:02d}": f"{number:02d}" for number in range(1, 6)}},
    fields=add_speaker,
)
TABLE = "EmoEvaluation/*.txt"


def scan(root: Path) -> Scan:
    """List the recordings on whose label the raters agree.

    Raises:
        UserError: see `scan_names`; or no file with labels is there, or a label is none of the corpus.
    """
    found = scan_names(root, NAMES)
    fill_in(found, read_labels(root), TABLE, take_label)
    return found


def read_labels(root: Path) -> dict[str, str]:
    """Return the label of each recording in the files of the corpus."""
    labels = dict[str, str]()
    for path in map(PurePosixPath, files_below(root)):
        if path.parent.name == "EmoEvaluation" and path.suffix == ".txt" and not path.name.startswith("."):
            labels |= LINE.findall((root / path).read_text(encoding="latin-1"))
    if not labels:
        raise UserError(f"root={root}: no labels in Session*/dialog/{TABLE}; give the folder of the whole corpus")
    return labels


def take_label(recording: Recording, label: str) -> Recording | str:
    if label == NO_AGREEMENT:
        return "recordings on which the raters do not agree"
    return replace(recording, emotion=look_up(LABELS, label, TABLE, f"the label of {recording.name}"))
