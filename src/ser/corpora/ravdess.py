"""RAVDESS, the Ryerson Audio-Visual Database of Emotional Speech and Song (Livingstone & Russo 2018).

    Actor_12/03-01-06-01-02-01-12.wav
             |  |  |  |  |  |  +- actor 01-24, odd male, even female
             |  |  |  |  |  +---- repetition 01, 02
             |  |  |  |  +------- statement 01 "Kids are talking by the door", 02 "Dogs are sitting by the door"
             |  |  |  +---------- intensity 01 normal, 02 strong (neutral has no strong)
             |  |  +------------- emotion
             |  +---------------- channel 01 speech, 02 song
             +------------------- modality 01 audio-video, 02 video, 03 audio

The speech part has 1440 recordings, 60 of each actor. https://doi.org/10.5281/zenodo.1188976, CC BY-NC-SA 4.0.
"""

import re
from pathlib import Path, PurePosixPath

from ser.corpora.recordings import AUDIO_SUFFIXES, OTHER_SUFFIXES, Format, Recording, Scan, files_below
from ser.errors import UserError

DESCRIPTION = "RAVDESS, speech part (CC BY-NC-SA 4.0)"
SYNTHETIC = False
LICENSE = "cc-by-nc-sa-4.0"
SOURCE = "https://doi.org/10.5281/zenodo.1188976"
VOICES = "24 professional actors who speak two English sentences with acted emotions"
FORMAT = Format(sample_rate=48_000, shortest=2.5, longest=6.0)  # 2.94-5.27 s as published

EMOTIONS = ("angry", "calm", "disgust", "fearful", "happy", "neutral", "sad", "surprised")
"""The order of the labels, everywhere."""

EMOTION_CODES = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgust",
    "08": "surprised",
}
INTENSITY_CODES = {"01": "normal", "02": "strong"}
CODES = {
    "modality": ("01", "02", "03"),
    "channel": ("01", "02"),
    "emotion": tuple(EMOTION_CODES),
    "intensity": tuple(INTENSITY_CODES),
    "statement": ("01", "02"),
    "repetition": ("01", "02"),
    "actor": tuple(f"{actor:02d}" for actor in range(1, 25)),
}
SEVEN_CODES = re.compile(r"[0-9]{2}(-[0-9]{2}){6}")  # \d takes the digits of every script


def scan(root: Path) -> Scan:
    """List the speech recordings below `root`, whatever its folders are called; folders that are links are followed.

    Raises:
        UserError: a folder that cannot be read; names with impossible codes, or that are no UTF-8, all of them at once;
            or two files of one name with different sizes.
    """
    found, mistakes, seen = Scan(), [], dict[str, str]()
    for path in files_below(root):
        stem, suffix = PurePosixPath(path).stem, PurePosixPath(path).suffix.lower()
        if reason := no_file(root, path):
            found.leave_out(reason, shown(path))
        elif not SEVEN_CODES.fullmatch(stem):
            found.leave_out(foreign(path), shown(path))
        elif mistake := impossible(stem) or unwritable(path):
            mistakes.append(f"{shown(path)} ({mistake})")
        elif reason := not_speech(stem, suffix):
            found.leave_out(reason, shown(path))
        elif stem in seen:
            # The popular Kaggle copy holds the whole tree twice.
            if (root / seen[stem]).stat().st_size != (root / path).stat().st_size:
                mistakes.append(f"{shown(path)} (another recording than {shown(seen[stem])}, under the same name)")
            found.leave_out("second copies of a recording", shown(path))
        else:
            seen[stem] = path
            found.recordings.append(recording(path))
    if mistakes:
        raise UserError(f"root={root}: {len(mistakes)} impossible names: " + "; ".join(mistakes))
    return found


def recording(path: str) -> Recording:
    """Read the seven codes of a valid name.

    >>> recording("Actor_12/03-01-06-01-02-01-12.wav").emotion
    'fearful'
    """
    _, _, emotion, intensity, statement, repetition, actor = PurePosixPath(path).stem.split("-")
    return Recording(
        path=path,
        emotion=EMOTION_CODES[emotion],
        speaker=str(int(actor)),
        gender="male" if int(actor) % 2 else "female",
        intensity=INTENSITY_CODES[intensity],
        statement=str(int(statement)),
        repetition=str(int(repetition)),
    )


def impossible(stem: str) -> str:
    """Return what is wrong with the codes of a seven-part name; empty if nothing."""
    codes = dict(zip(CODES, stem.split("-"), strict=True))
    for part, code in codes.items():
        if code not in CODES[part]:
            return f"{part} {code}: it must be one of {CODES[part][0]} to {CODES[part][-1]}"
    if codes["emotion"] == "01" and codes["intensity"] == "02":
        return "emotion 01 (neutral) has no intensity 02"
    return ""


def not_speech(stem: str, suffix: str) -> str:
    """Return why a validly named file is no speech recording; empty if it is one."""
    modality, channel, *_ = stem.split("-")
    if modality != "03":
        return "video files"
    if channel == "02":
        return "song recordings"
    if suffix in AUDIO_SUFFIXES:
        return ""
    return "audio or video files that are not read" if suffix in OTHER_SUFFIXES else "files that are no audio"


def no_file(root: Path, path: str) -> str:
    """Return why what lies there is no file; empty if it is one."""
    if (root / path).is_file():
        return ""
    return "links that lead nowhere" if (root / path).is_symlink() else "pipes, sockets or devices"


def unwritable(path: str) -> str:
    """Return why the manifest cannot hold a path; empty if it can."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return "it holds bytes that are no UTF-8; rename it"
    return ""


def shown(path: str) -> str:
    """Return a path in a form that fits into one line."""
    return path if path.isprintable() else ascii(path)


def foreign(path: str) -> str:
    """Describe a file that is not named as in RAVDESS."""
    place = PurePosixPath(path)
    if place.name.startswith(".") or "__MACOSX" in place.parts:
        return "hidden files"
    if place.suffix.lower() in OTHER_SUFFIXES:
        return "audio or video files that are not read"
    known = place.suffix.lower() in AUDIO_SUFFIXES
    return "audio files not named as RAVDESS names them" if known else "files that are no audio"
