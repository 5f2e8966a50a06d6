"""AESDD, the Acted Emotional Speech Dynamic Database (Vryzas et al. 2018), in Greek.

    anger/a03 (5)b.wav
          ||   | +- a second take
          ||   +--- speaker 1-6, also written 01; odd male, even female
          |+------- utterance 01-20
          +-------- emotion

604 recordings, 44.1 kHz, and one without sound, s05 (3). https://m3c.web.auth.gr; CC BY 4.0 by a copy, and not
confirmed by its owner.
"""

from ser.corpora.facts import Facts, Format
from ser.corpora.file_names import Codes, FileNames

FACTS = Facts(
    description="AESDD",
    voices="six Greek actors with acted emotions",
    source="https://m3c.web.auth.gr",
    license="other",
    commercial=False,
    language="el",
    format=Format(sample_rate=44_100, shortest=0.9, longest=12.8),
    clips={"angry": 121, "disgust": 122, "fearful": 120, "happy": 119, "sad": 122},
    speakers=6,
)


def add_gender(codes: Codes) -> Codes:
    return {**codes, "gender": "male" if int(codes["speaker"]) % 2 else "female"}


NAMES = FileNames(
    corpus="AESDD",
    pattern=r"(?P<emotion>[a-z])(?P<statement>[0-9]{2}) ?\((?P<speaker>[0-9]{1,2})\)(?P<repetition>[a-z]?)",
    codes={
        "emotion": {"a": "angry", "d": "disgust", "f": "fearful", "h": "happy", "s": "sad"},
        "statement": {f"{number:02d}": str(number) for number in range(1, 21)},
        "speaker": {text: str(number) for number in range(1, 7) for text in (f"{number}", f"{number:02d}")},
    },
    fields=add_gender,
    broken=("s05 (3)",),
)
