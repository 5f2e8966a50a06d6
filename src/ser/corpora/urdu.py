"""URDU (Latif et al. 2018): excerpts of talk shows.

    Angry/SM1_F19_A019.wav
          |   |   ++--- emotion A, H, N, S, and number
          |   +-------- file
          +------------ speaker, SM male, SF female

400 recordings, 44.1 kHz; the names have 29 speakers, the README 38. https://github.com/siddiquelatif/URDU-Dataset,
research only.
"""

from ser.corpora.facts import Facts, Format
from ser.corpora.file_names import Codes, FileNames

FACTS = Facts(
    description="URDU (research only)",
    voices="guests of Urdu talk shows, 29 by the names of the files",
    source="https://github.com/siddiquelatif/URDU-Dataset",
    license="other",
    commercial=False,
    language="ur",
    format=Format(sample_rate=44_100, shortest=0.9, longest=3.1),
    clips={"angry": 100, "happy": 100, "neutral": 100, "sad": 100},
    speakers=29,
)


def add_gender(codes: Codes) -> Codes:
    return {**codes, "gender": "male" if codes["speaker"].startswith("SM") else "female"}


NAMES = FileNames(
    corpus="URDU",
    pattern=r"(?P<speaker>S[MF][0-9]+)_(?P<repetition>F[0-9]+)_(?P<emotion>[A-Z])[0-9]+",
    codes={"emotion": {"A": "angry", "H": "happy", "N": "neutral", "S": "sad"}},
    fields=add_gender,
)
