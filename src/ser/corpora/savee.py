"""SAVEE, Surrey Audio-Visual Expressed Emotion (Haq & Jackson 2009).

    DC/sa01.wav     as published; DC_sa01.wav in copies
    |  | +- number, which stands for another sentence with each emotion
    |  +--- emotion a, d, f, h, n, sa, su
    +------ speaker DC, JE, JK, KL

480 recordings of four men, 44.1 kHz. http://kahlan.eps.surrey.ac.uk/savee, research only.
"""

from ser.corpora.facts import Facts, Format
from ser.corpora.file_names import Codes, FileNames

FACTS = Facts(
    description="SAVEE (research only)",
    voices="four British men who speak English sentences with acted emotions",
    source="http://kahlan.eps.surrey.ac.uk/savee",
    license="other",
    commercial=False,
    language="en",
    format=Format(sample_rate=44_100, shortest=1.6, longest=7.2),
    clips={"angry": 60, "disgust": 60, "fearful": 60, "happy": 60, "neutral": 120, "sad": 60, "surprised": 60},
    speakers=4,
)


def add_gender(codes: Codes) -> Codes:
    return {**codes, "gender": "male"}


NAMES = FileNames(
    corpus="SAVEE",
    pattern=r"(?P<speaker>DC|JE|JK|KL)[/_](?P<id>(?P<emotion>sa|su|[a-z])(?P<repetition>[0-9]{2}))",
    codes={
        "emotion": {
            "a": "angry",
            "d": "disgust",
            "f": "fearful",
            "h": "happy",
            "n": "neutral",
            "sa": "sad",
            "su": "surprised",
        },
    },
    fields=add_gender,
)
