"""ShEMO, the Sharif Emotional Speech Database of Persian radio plays (Mohamad Nezami et al. 2019).

    male/M36S02.wav
         |  |+- number
         |  +-- emotion A, F, H, N, S, W
         +----- speaker F01-F31, M01-M56

3000 recordings of 87 speakers. https://github.com/mansourehk/ShEMO, free for academic use.
"""

from ser.corpora.facts import Facts
from ser.corpora.file_names import Codes, FileNames

FACTS = Facts(
    description="ShEMO (academic use)",
    voices="87 Persian actors of radio plays",
    source="https://github.com/mansourehk/ShEMO",
    license="other",
    commercial=False,
    language="fa",
    clips={"angry": 1059, "fearful": 38, "happy": 201, "neutral": 1028, "sad": 449, "surprised": 225},
    speakers=87,
)


def add_gender(codes: Codes) -> Codes:
    return {**codes, "gender": "male" if codes["speaker"].startswith("M") else "female"}


NAMES = FileNames(
    corpus="ShEMO",
    pattern=r"(?P<speaker>[FM][0-9]{2})(?P<emotion>[A-Z])(?P<repetition>[0-9]{2})",
    codes={
        "speaker": {
            f"{sex}{n:02d}": f"{sex}{n:02d}" for sex, last in (("F", 31), ("M", 56)) for n in range(1, last + 1)
        },
        "emotion": {
            "A": "angry",
            "F": "fearful",
            "H": "happy",
            "N": "neutral",
            "S": "sad",
            "W": "surprised",
        },
    },
    fields=add_gender,
)
