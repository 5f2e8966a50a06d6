"""ESD, the Emotional Speech Dataset (Zhou et al. 2021): the emotional speech of Mandarin and English speakers.

    0003/Neutral/train/0003_000001.wav
    |    |       |          +- number: 1-350 neutral, 351-700 angry, then happy, sad, surprised
    |    |       +------------ train, evaluation, test; not in every copy
    |    +-------------------- emotion
    +------------------------- speaker 0001-0010 Mandarin, 0011-0020 English

35 000 recordings: 350 sentences in five emotions of each speaker, 16 kHz. The published split has the same speakers on
both sides. https://github.com/HLTSingapore/Emotional-Speech-Data, research only.
"""

from ser.corpora.facts import Facts
from ser.corpora.file_names import Codes, FileNames

FOLDERS = {"Neutral": "neutral", "Angry": "angry", "Happy": "happy", "Sad": "sad", "Surprise": "surprised"}
EMOTIONS = tuple(FOLDERS.values())
SENTENCES = 350
MEN = (4, 5, 6, 8, 10, 11, 12, 13, 14, 20)
FACTS = Facts(
    description="ESD (research only)",
    voices="ten Mandarin and ten English speakers who speak 350 sentences with acted emotions",
    source="https://github.com/HLTSingapore/Emotional-Speech-Data",
    license="other",
    commercial=False,
    clips=dict.fromkeys(sorted(EMOTIONS), 7000),
    speakers=20,
)


def emotion_of(number: str) -> str:
    """Return the emotion that follows from the number of a recording.

    >>> emotion_of("000350"), emotion_of("000351")
    ('neutral', 'angry')
    """
    return EMOTIONS[(int(number) - 1) // SENTENCES]


def find_impossible(codes: Codes) -> str:
    number, folder = codes["number"], codes.get("folder")
    if not 1 <= int(number) <= SENTENCES * len(EMOTIONS):
        return f"number {number}: it must be one of 1 to {SENTENCES * len(EMOTIONS)}"
    if folder is not None and FOLDERS[folder] != emotion_of(number):
        return f"number {number} is {emotion_of(number)}, and the folder is {folder}"
    return ""


def add_facts(codes: Codes) -> Codes:
    speaker, number = int(codes["speaker"]), codes["number"]
    language = "zh" if speaker <= 10 else "en"
    return {
        **codes,
        "emotion": emotion_of(number),
        "statement": f"{language}-{(int(number) - 1) % SENTENCES + 1}",
        "gender": "male" if speaker in MEN else "female",
        "language": language,
    }


NAMES = FileNames(
    corpus="ESD",
    pattern=rf"(?:(?P<folder>{'|'.join(FOLDERS)})/)?(?:(?P<split>train|evaluation|test)/)?"
    r"(?P<speaker>[0-9]{4})_(?P<number>[0-9]{6})",
    codes={
        "speaker": {f"{number:04d}": f"{number:04d}" for number in range(1, 21)},
        "split": {"train": "train", "evaluation": "validation", "test": "test"},
    },
    fields=add_facts,
    impossible=find_impossible,
)
