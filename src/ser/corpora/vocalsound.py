"""VocalSound: laughter, coughs, sighs and other sounds of a crowd (Gong et al. 2022), without emotions.

    audio_16k/f0003_0_cough.wav
              |     | +- class, which is the label
              |     +--- recording session of the speaker
              +--------- speaker, f female, m male
    datafiles/tr.json, val.json, te.json: the recordings of each split

21 024 recordings of 3365 speakers, 16 or 44.1 kHz; where the lists are there, recordings that they do not name are left
out. https://github.com/YuanGongND/vocalsound, CC BY-SA 4.0.
"""

import json
from dataclasses import replace
from pathlib import Path, PurePosixPath

from ser.corpora.facts import Facts
from ser.corpora.file_names import Codes, FileNames, scan_names
from ser.corpora.published_tables import fill_in, find_table
from ser.corpora.recordings import Recording, Scan
from ser.errors import UserError

CLASSES = ("cough", "laughter", "sigh", "sneeze", "sniff", "throatclearing")
FACTS = Facts(
    description="VocalSound (CC BY-SA 4.0)",
    voices="3365 speakers who laugh, cough, sigh, sneeze, sniff or clear their throat",
    source="https://github.com/YuanGongND/vocalsound",
    license="cc-by-sa-4.0",
    speakers=3365,
)
LISTS = {"tr.json": "train", "val.json": "validation", "te.json": "test"}


def add_gender(codes: Codes) -> Codes:
    return {**codes, "gender": "male" if codes["speaker"].startswith("m") else "female"}


NAMES = FileNames(
    corpus="VocalSound",
    pattern=r"(?P<speaker>[fm][0-9]{4})_(?P<repetition>[0-9]+)_(?P<emotion>[a-z]+)",
    codes={"emotion": {name: name for name in CLASSES}},
    fields=add_gender,
)


def scan(root: Path) -> Scan:
    """List the recordings, with their splits where the lists are there.

    Raises:
        UserError: see `scan_names`; or a list cannot be read.
    """
    found, splits = scan_names(root, NAMES), dict[str, str]()
    for name, split in LISTS.items():
        if path := find_table(root, name):
            splits |= dict.fromkeys(read_names(path), split)
    if splits:
        fill_in(found, splits, "datafiles/*.json", take_split)
    return found


def read_names(path: Path) -> list[str]:
    """Return the names of the recordings in a list: `{"data": [{"wav": "/any/place/f0003_0_cough.wav"}]}`."""
    try:
        return [PurePosixPath(entry["wav"]).stem for entry in json.loads(path.read_bytes())["data"]]
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path}: it is no list of VocalSound ({error!r}); remove it, or get it anew") from error


def take_split(recording: Recording, split: str) -> Recording:
    return replace(recording, split=split)
