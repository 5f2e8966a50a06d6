"""TESS, the Toronto Emotional Speech Set (Pichora-Fuller & Dupuis 2010).

    OAF_back_angry.wav
    |   |    +- emotion; ps is a pleasant surprise
    |   +------ word of the sentence "Say the word ..."
    +---------- speaker: OAF, the older woman, YAF, the younger one

2800 recordings of two women, 24 414 Hz; OAF_food_fear.wav has 96 kHz, and OA_bite_neutral.wav lacks a letter. Copies
hold the tree twice. https://doi.org/10.5683/SP2/E8H2MF, CC BY-NC-ND 4.0.
"""

from ser.corpora.facts import Facts, Format
from ser.corpora.file_names import Codes, FileNames

EMOTION_CODES = {
    "angry": "angry",
    "disgust": "disgust",
    "fear": "fearful",
    "happy": "happy",
    "neutral": "neutral",
    "ps": "surprised",
    "sad": "sad",
}
FACTS = Facts(
    description="TESS (CC BY-NC-ND 4.0)",
    voices="two women of Toronto who speak 200 English words with acted emotions",
    source="https://doi.org/10.5683/SP2/E8H2MF",
    license="cc-by-nc-nd-4.0",
    commercial=False,
    language="en",
    format=Format(sample_rate=24_414, shortest=1.2, longest=3.0, other_rates=(96_000,)),
    clips=dict.fromkeys(EMOTION_CODES.values(), 400),
    speakers=2,
)


def add_gender(codes: Codes) -> Codes:
    return {**codes, "gender": "female"}


NAMES = FileNames(
    corpus="TESS",
    pattern=r"(?P<speaker>[A-Z]{2,3})_(?P<statement>[a-z]+)_(?P<emotion>[a-z]+)",
    codes={"speaker": {"OAF": "OAF", "YAF": "YAF", "OA": "OAF"}, "emotion": EMOTION_CODES},
    fields=add_gender,
)
