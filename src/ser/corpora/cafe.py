"""CaFE, the Canadian French Emotional speech dataset (Gournay et al. 2018).

    Colère/Faible/01-C-1-1.wav
                  |  | | +- sentence 1-6
                  |  | +--- intensity 1 weak, 2 strong (neutral has no strong)
                  |  +----- emotion, by its French initial
                  +-------- actor 01-12, odd male, even female

936 recordings of twelve actors, 48 kHz; the 192 kHz AIFF files are the same. https://zenodo.org/records/1478765,
CC BY-NC-SA 4.0. One of the actors is under 18.
"""

from ser.corpora.download import Archive
from ser.corpora.facts import Facts, Format
from ser.corpora.file_names import Codes, FileNames

EMOTION_CODES = {
    "C": "angry",
    "D": "disgust",
    "J": "happy",
    "N": "neutral",
    "P": "fearful",
    "S": "surprised",
    "T": "sad",
}
FACTS = Facts(
    description="CaFE (CC BY-NC-SA 4.0)",
    voices="twelve actors who speak six sentences in Canadian French with acted emotions",
    source="https://zenodo.org/records/1478765",
    license="cc-by-nc-sa-4.0",
    commercial=False,
    language="fr",
    format=Format(sample_rate=48_000, shortest=2.5, longest=7.8, other_rates=(192_000,)),
    clips={emotion: 72 if emotion == "neutral" else 144 for emotion in EMOTION_CODES.values()},
    speakers=12,
    archives=(Archive("https://zenodo.org/records/1478765/files/CaFE_48k.zip"),),
)


def add_gender(codes: Codes) -> Codes:
    return {**codes, "gender": "male" if int(codes["speaker"]) % 2 else "female"}


def find_impossible(codes: Codes) -> str:
    if codes["emotion"] == "N" and codes["intensity"] == "2":
        return "emotion N (neutral) has no intensity 2"
    return ""


NAMES = FileNames(
    corpus="CaFE",
    pattern=r"(?P<speaker>[0-9]{2})-(?P<emotion>[A-Z])-(?P<intensity>[0-9])-(?P<statement>[0-9])",
    codes={
        "speaker": {f"{number:02d}": f"{number:02d}" for number in range(1, 13)},
        "emotion": EMOTION_CODES,
        "intensity": {"1": "weak", "2": "strong"},
        "statement": {str(number): str(number) for number in range(1, 7)},
    },
    fields=add_gender,
    impossible=find_impossible,
)
