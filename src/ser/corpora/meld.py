"""MELD, the Multimodal EmotionLines Dataset of a TV series (Poria et al. 2019), with its audio extracted.

    train_splits/dia0_utt3.wav      dev_splits_complete/..., output_repeated_splits_test/...
    |               |    +- utterance of the dialogue
    |               +------ dialogue, numbered anew in each split
    +---------------------- split: the folder has train, dev or test in its name
    train_sent_emo.csv      Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID ...; dev_ and test_ beside it

Extract the sound of the videos first, as in `ffmpeg -i dia0_utt3.mp4 -ac 1 -ar 16000 dia0_utt3.wav`. The main cast
speaks in all splits. Two videos are broken; dia38_utt4 and dia220_utt0 of the test split last some minutes.
https://affective-meld.github.io; the clips are those of a TV series.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ser.corpora.facts import Facts
from ser.corpora.file_names import Codes, FileNames, scan_names
from ser.corpora.labels import normalise
from ser.corpora.published_tables import Row, fill_in, look_up, need_table, read_rows
from ser.corpora.recordings import Recording, Scan

EMOTIONS = {label: normalise(label) for label in ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")}
FACTS = Facts(
    description="MELD (clips of a TV series)",
    voices="the cast of an American TV series, with a laughter track",
    source="https://affective-meld.github.io",
    license="other",
    commercial=False,
    language="en",
    clips=dict(zip(EMOTIONS.values(), (1607, 361, 358, 2308, 6434, 1002, 1636), strict=True)),
)
SPLITS = {"train": "train", "dev": "validation", "test": "test"}
BROKEN = {("train", "125", "3"), ("dev", "110", "7")}
COLUMNS = ("speaker", "emotion", "dialogue_id", "utterance_id")


def add_id(codes: Codes) -> Codes:
    """Identify a recording with its split, since the same names are in all three."""
    return {
        **codes,
        "id": name_of(codes["split"], codes["dialogue"], codes["utterance"]),
        "session": f"{codes['split']}/{codes['dialogue']}",
    }


def name_of(split: str, dialogue: str, utterance: str) -> str:
    return f"{split}/dia{dialogue}_utt{utterance}"


def leave_out(codes: Codes) -> str:
    if "copy" in codes:
        return "second versions of test clips (final_videos_test)"
    if (codes["split"], codes["dialogue"], codes["utterance"]) in BROKEN:
        return "files that are broken as published"
    return ""


NAMES = FileNames(
    corpus="MELD",
    pattern=r"[^/]*(?P<split>train|dev|test)[^/]*/(?P<copy>final_videos_test)?"
    r"dia(?P<dialogue>[0-9]+)_utt(?P<utterance>[0-9]+)",
    codes={"split": SPLITS},
    fields=add_id,
    left_out=leave_out,
)


def scan(root: Path) -> Scan:
    """List the recordings of all splits.

    Raises:
        UserError: see `scan_names`; or one of the three tables is not there, or cannot be read.
    """
    rows = dict[str, Row]()
    for split, called in SPLITS.items():
        for row in read_rows(need_table(root, f"{split}_sent_emo.csv"), COLUMNS):
            rows[name_of(called, row["dialogue_id"], row["utterance_id"])] = row
    found = scan_names(root, NAMES)
    fill_in(found, without_broken(rows), "*_sent_emo.csv", take_row)
    return found


def without_broken(rows: Mapping[str, Row]) -> dict[str, Row]:
    broken = {name_of(SPLITS[split], dialogue, utterance) for split, dialogue, utterance in BROKEN}
    return {name: row for name, row in rows.items() if name not in broken}


def take_row(recording: Recording, row: Row) -> Recording:
    return replace(
        recording,
        emotion=look_up(EMOTIONS, row["emotion"].lower(), "*_sent_emo.csv", "Emotion"),
        speaker=row["speaker"],
    )
