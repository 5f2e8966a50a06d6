"""VIVAE, the Variably Intense Vocalizations of Affect and Emotion (Holz et al. 2022): bursts without words.

    full_set/S10_fear_low_03.wav
             |   |    |   +- number
             |   |    +----- intensity low, moderate, strong, peak
             |   +---------- emotion
             +-------------- speaker S01-S11

1085 recordings of eleven speakers; core_set holds 480 of them again. https://zenodo.org/records/4066235,
CC BY-NC-SA 4.0.
"""

from ser.corpora.download import Archive
from ser.corpora.facts import Facts
from ser.corpora.file_names import FileNames

EMOTION_CODES = {
    "achievement": "achievement",
    "anger": "angry",
    "fear": "fearful",
    "pain": "pain",
    "pleasure": "pleasure",
    "surprise": "surprised",
}
FACTS = Facts(
    description="VIVAE (CC BY-NC-SA 4.0)",
    voices="eleven speakers who express emotions by sounds without words",
    source="https://zenodo.org/records/4066235",
    license="cc-by-nc-sa-4.0",
    commercial=False,
    clips={"achievement": 161, "angry": 174, "fearful": 176, "pain": 185, "pleasure": 202, "surprised": 187},
    speakers=11,
    archives=(Archive("https://zenodo.org/records/4066235/files/VIVAE.zip"),),
)
NAMES = FileNames(
    corpus="VIVAE",
    pattern=r"(?P<speaker>S[0-9]{2})_(?P<emotion>[a-z]+)_(?P<intensity>[a-z]+)_(?P<repetition>[0-9]+)",
    codes={
        "speaker": {f"S{number:02d}": f"S{number:02d}" for number in range(1, 12)},
        "emotion": EMOTION_CODES,
        "intensity": {code: code for code in ("low", "moderate", "strong", "peak")},
    },
)
