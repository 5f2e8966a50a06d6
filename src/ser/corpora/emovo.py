"""EMOVO, an Italian emotional speech corpus (Costantini et al. 2014).

    gio-f2-b2.wav
    |   |  +- sentence b1-b3, d1, d2, l1-l4, n1-n5
    |   +---- speaker f1-f3, m1-m3
    +-------- emotion, by its Italian word

588 recordings of six actors, 48 kHz. http://voice.fub.it/activities/corpora/emovo; CC BY-NC-SA 4.0 by one source, and
not confirmed by its owner.
"""

from ser.corpora.facts import Facts, Format
from ser.corpora.file_names import Codes, FileNames

EMOTION_CODES = {
    "dis": "disgust",
    "gio": "happy",
    "neu": "neutral",
    "pau": "fearful",
    "rab": "angry",
    "sor": "surprised",
    "tri": "sad",
}
SENTENCES = [
    f"{kind}{number}" for kind, last in (("b", 3), ("d", 2), ("l", 4), ("n", 5)) for number in range(1, last + 1)
]
FACTS = Facts(
    description="EMOVO",
    voices="six Italian actors who speak 14 sentences with acted emotions",
    source="http://voice.fub.it/activities/corpora/emovo",
    license="cc-by-nc-sa-4.0",
    commercial=False,
    language="it",
    format=Format(sample_rate=48_000, shortest=1.2, longest=14.0),
    clips=dict.fromkeys(EMOTION_CODES.values(), 84),
    speakers=6,
)


def add_gender(codes: Codes) -> Codes:
    return {**codes, "gender": "male" if codes["speaker"].startswith("m") else "female"}


NAMES = FileNames(
    corpus="EMOVO",
    pattern=r"(?P<emotion>[a-z]{3})-(?P<speaker>[a-z][0-9])-(?P<statement>[a-z][0-9])",
    codes={
        "emotion": EMOTION_CODES,
        "speaker": {code: code for code in ("f1", "f2", "f3", "m1", "m2", "m3")},
        "statement": {code: code for code in SENTENCES},
    },
    fields=add_gender,
)
