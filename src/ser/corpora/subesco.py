"""SUBESCO, the SUST Bangla Emotional Speech Corpus (Sultana et al. 2021).

    F_10_FAHMEE_S_6_FEAR_5.wav
    | |  |        | |    +- take 1-5; one name has a ] behind it
    | |  |        | +------ emotion
    | |  |        +-------- sentence 1-10
    | |  +----------------- name of the speaker
    | +-------------------- number 01-10 among the speakers of this gender
    +---------------------- gender F, M

7000 recordings of 20 speakers, 44.1 and 48 kHz. https://zenodo.org/records/4526477, CC BY 4.0.
"""

from ser.corpora.download import Archive
from ser.corpora.facts import Facts, Format
from ser.corpora.file_names import Codes, FileNames

EMOTION_CODES = {
    "ANGRY": "angry",
    "DISGUST": "disgust",
    "FEAR": "fearful",
    "HAPPY": "happy",
    "NEUTRAL": "neutral",
    "SAD": "sad",
    "SURPRISE": "surprised",
}
FACTS = Facts(
    description="SUBESCO (CC BY 4.0)",
    voices="20 Bangla speakers who speak ten sentences with acted emotions",
    source="https://zenodo.org/records/4526477",
    license="cc-by-4.0",
    language="bn",
    format=Format(sample_rate=44_100, shortest=2.7, longest=6.1, other_rates=(48_000,)),
    clips=dict.fromkeys(EMOTION_CODES.values(), 1000),
    speakers=20,
    archives=(
        Archive(
            "https://zenodo.org/records/4526477/files/SUBESCO.zip",
            1_664_512_929,
            "sha256:7505111bc864193d1906c05f83ca50d950250c65b62ae9b1740dee44f5cdb113",
        ),
    ),
)


def add_speaker(codes: Codes) -> Codes:
    """Name the speaker by gender and number, since women and men are both numbered from 01."""
    return {**codes, "speaker": codes["sex"] + codes["number"], "gender": "male" if codes["sex"] == "M" else "female"}


NAMES = FileNames(
    corpus="SUBESCO",
    pattern=r"(?P<sex>[FM])_(?P<number>[0-9]{2})_[^_]+_S_(?P<statement>[0-9]{1,2})_(?P<emotion>[A-Z]+)"
    r"_(?P<repetition>[0-9])\]?",
    codes={
        "number": {f"{number:02d}": f"{number:02d}" for number in range(1, 11)},
        "statement": {str(number): str(number) for number in range(1, 11)},
        "emotion": EMOTION_CODES,
        "repetition": {str(number): str(number) for number in range(1, 6)},
    },
    fields=add_speaker,
)
