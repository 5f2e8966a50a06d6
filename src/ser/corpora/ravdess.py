"""RAVDESS, the Ryerson Audio-Visual Database of Emotional Speech and Song (Livingstone & Russo 2018).

    Actor_12/03-01-06-01-02-01-12.wav
             |  |  |  |  |  |  +- actor 01-24, odd male, even female
             |  |  |  |  |  +---- repetition 01, 02
             |  |  |  |  +------- statement 01 "Kids are talking by the door", 02 "Dogs are sitting by the door"
             |  |  |  +---------- intensity 01 normal, 02 strong (neutral has no strong)
             |  |  +------------- emotion
             |  +---------------- channel 01 speech, 02 song
             +------------------- modality 01 audio-video, 02 video, 03 audio

The speech part has 1440 recordings, 60 of each actor; the song part 1012, without disgust and surprise, of 23 actors
(18 has none). https://doi.org/10.5281/zenodo.1188976, CC BY-NC-SA 4.0.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

from ser.corpora.download import Archive
from ser.corpora.facts import Facts, Format
from ser.corpora.file_names import Codes, FileNames, scan_names
from ser.corpora.recordings import Recording, Scan

EMOTIONS = ("angry", "calm", "disgust", "fearful", "happy", "neutral", "sad", "surprised")
"""The order of the labels, everywhere."""
RECORD = "https://zenodo.org/records/1188976/files"
SPEECH_ARCHIVE = Archive(f"{RECORD}/Audio_Speech_Actors_01-24.zip", 208_468_073, "md5:bc696df654c87fed845eb13823edef8a")
SONG_ARCHIVE = Archive(f"{RECORD}/Audio_Song_Actors_01-24.zip", 225_505_317, "md5:5411230427d67a21e18aa4d466e6d1b9")
SPEECH = Facts(
    description="RAVDESS, speech part (CC BY-NC-SA 4.0)",
    voices="24 professional actors who speak two English sentences with acted emotions",
    source="https://doi.org/10.5281/zenodo.1188976",
    license="cc-by-nc-sa-4.0",
    commercial=False,
    language="en",
    format=Format(sample_rate=48_000, shortest=2.5, longest=6.0),  # 2.94-5.27 s as published
    emotions=EMOTIONS,
    clips={emotion: 96 if emotion == "neutral" else 192 for emotion in EMOTIONS},
    speakers=24,
    archives=(SPEECH_ARCHIVE,),
)
SUNG = ("angry", "calm", "fearful", "happy", "neutral", "sad")
SONG = replace(
    SPEECH,
    description="RAVDESS, song part (CC BY-NC-SA 4.0)",
    voices="23 professional actors who sing two English sentences with acted emotions",
    format=Format(sample_rate=48_000, shortest=2.5, longest=8.0),
    emotions=SUNG,
    clips={emotion: 92 if emotion == "neutral" else 184 for emotion in SUNG},
    speakers=23,
    archives=(SONG_ARCHIVE,),
)
BOTH = replace(
    SPEECH,
    description="RAVDESS, speech and song (CC BY-NC-SA 4.0)",
    voices="24 professional actors who speak and sing two English sentences with acted emotions",
    format=SONG.format,
    archives=(SPEECH_ARCHIVE, SONG_ARCHIVE),
    clips={emotion: SPEECH.clips[emotion] + SONG.clips.get(emotion, 0) for emotion in EMOTIONS},
)
VARIANTS = {"speech": SPEECH, "song": SONG, "both": BOTH}

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
CODES = {
    "modality": {"01": "audio-video", "02": "video", "03": "audio"},
    "channel": {"01": "speech", "02": "song"},
    "emotion": EMOTION_CODES,
    "intensity": {"01": "normal", "02": "strong"},
    "statement": {"01": "1", "02": "2"},
    "repetition": {"01": "1", "02": "2"},
    "actor": {f"{actor:02d}": str(actor) for actor in range(1, 25)},
}
PATTERN = "-".join(f"(?P<{part}>[0-9]{{2}})" for part in CODES)  # \d takes the digits of every script


def add_speaker(codes: Codes) -> Codes:
    actor = codes["actor"]
    return {**codes, "speaker": actor, "gender": "male" if int(actor) % 2 else "female"}


def find_impossible(codes: Codes) -> str:
    if codes["emotion"] == "01" and codes["intensity"] == "02":
        return "emotion 01 (neutral) has no intensity 02"
    return ""


def leave_out(variant: str, codes: Codes) -> str:
    """Return why a recording is not in a part of the corpus; empty if it is."""
    if codes["modality"] != "03":
        return "video files"
    if variant != "both" and CODES["channel"][codes["channel"]] != variant:
        return "song recordings" if variant == "speech" else "speech recordings"
    return ""


NAMES = {
    variant: FileNames("RAVDESS", PATTERN, CODES, add_speaker, find_impossible, partial(leave_out, variant))
    for variant in VARIANTS
}


def scan(root: Path, variant: str = "speech") -> Scan:
    """List the recordings of a part of the corpus; see `scan_names`."""
    return scan_names(root, NAMES[variant])


def recording(path: str) -> Recording:
    """Read the seven codes of a valid name.

    >>> recording("Actor_12/03-01-06-01-02-01-12.wav").emotion
    'fearful'
    """
    return NAMES["both"].recording(path)
