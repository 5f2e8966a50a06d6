"""ASVP-ESD: emotional speech and sounds without words, from recordings and the web (Landry et al. 2020).

    03-02-04-01-06-36-02-02-01-39.wav       8 to 12 fields
    |  |  |  |  |  |  |  |  +---- up to four further fields, the language first
    |  |  |  |  |  |  |  +------- source 01-03
    |  |  |  |  |  |  +---------- age 01-04
    |  |  |  |  |  +------------- actor
    |  |  |  |  +---------------- statement
    |  |  |  +------------------- intensity 01, 02
    |  |  +---------------------- emotion; one file has 17, which means nothing
    |  +------------------------- channel 01 speech, 02 sounds without words
    +---------------------------- modality 03

13 964 recordings of about 131 speakers, 16 kHz, in Audio and Bonus: 8824 without words and 5140 of speech.
https://zenodo.org/records/7132783; its licence is not clear.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

from ser.corpora.facts import Facts, Format
from ser.corpora.file_names import Codes, FileNames, scan_names
from ser.corpora.recordings import Scan

NONSPEECH = Facts(
    description="ASVP-ESD, sounds without words",
    voices="actors and voices of the web: laughter, gasps, cries and other sounds without words",
    source="https://zenodo.org/records/7132783",
    license="other",
    commercial=False,
    format=Format(sample_rate=16_000, shortest=0.1, longest=86.5),
    clips={"fearful": 1010, "happy": 1255, "sad": 2143, "surprised": 1094},
)
SPEECH = replace(
    NONSPEECH, description="ASVP-ESD, speech", voices="actors and voices of the web in several languages", clips={}
)
BOTH = replace(SPEECH, description="ASVP-ESD, speech and sounds without words", voices="actors and voices of the web")
VARIANTS = {"nonspeech": NONSPEECH, "speech": SPEECH, "both": BOTH}

CHANNELS = {"01": "speech", "02": "nonspeech"}
EMOTION_CODES = {
    "01": "bored",
    "02": "neutral",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgust",
    "08": "surprised",
    "09": "excited",
    "10": "pleasure",
    "11": "pain",
    "12": "disappointed",
    "13": "breath",
}
UNDEFINED = "17"


def leave_out(variant: str, codes: Codes) -> str:
    """Return why a recording is not in a part of the corpus; empty if it is."""
    if codes["emotion"] == UNDEFINED:
        return f"recordings with the emotion {UNDEFINED}, which the corpus does not define"
    if variant != "both" and CHANNELS[codes["channel"]] != variant:
        return "speech recordings" if variant == "nonspeech" else "recordings without words"
    return ""


NAMES = {
    variant: FileNames(
        corpus="ASVP-ESD",
        pattern=r"03-(?P<channel>[0-9]{2})-(?P<emotion>[0-9]{2})-(?P<intensity>[0-9]{2})-(?P<statement>[0-9]+)"
        r"-(?P<speaker>[0-9]+)-[0-9]+-[0-9]+(?:-[0-9]+){0,4}",
        codes={
            "channel": CHANNELS,
            "emotion": {**EMOTION_CODES, UNDEFINED: ""},
            "intensity": {"01": "normal", "02": "strong"},
        },
        left_out=partial(leave_out, variant),
    )
    for variant in VARIANTS
}


def scan(root: Path, variant: str = "nonspeech") -> Scan:
    """List the recordings of a part of the corpus; see `scan_names`."""
    return scan_names(root, NAMES[variant])
