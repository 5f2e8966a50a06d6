"""EMO-DB, the Berlin Database of Emotional Speech (Burkhardt et al. 2005).

    03a01Wa.wav
    | |  |+- version
    | |  +-- emotion, by its German initial
    | +----- text a01-a07, b01-b10
    +------- speaker

535 recordings of ten actors, 16 kHz. http://emodb.bilderbar.info; published as CC0 and as CC BY 4.0 by different
sources.
"""

from ser.corpora.download import Archive
from ser.corpora.facts import Facts, Format
from ser.corpora.file_names import Codes, FileNames

FACTS = Facts(
    description="EMO-DB, Berlin Database of Emotional Speech",
    voices="ten German actors who speak ten sentences with acted emotions",
    source="http://emodb.bilderbar.info",
    license="cc-by-4.0",  # the stricter of the two that are given
    language="de",
    format=Format(sample_rate=16_000, shortest=1.2, longest=9.0),
    clips={"angry": 127, "bored": 81, "disgust": 46, "fearful": 69, "happy": 71, "neutral": 79, "sad": 62},
    speakers=10,
    archives=(
        Archive(
            "https://zenodo.org/records/7447302/files/emodb.zip", 39_981_818, "md5:9d21362dbc5676ef3ab4745d83ced0db"
        ),
    ),
)
MEN = ("03", "10", "11", "12", "15")


def add_gender(codes: Codes) -> Codes:
    return {**codes, "gender": "male" if codes["speaker"] in MEN else "female"}


NAMES = FileNames(
    corpus="EMO-DB",
    pattern=r"(?P<speaker>[0-9]{2})(?P<statement>[a-z][0-9]{2})(?P<emotion>[A-Z])(?P<repetition>[a-z])",
    codes={
        "speaker": {code: code for code in ("03", "08", "09", "10", "11", "12", "13", "14", "15", "16")},
        "statement": {code: code for code in ("a01", "a02", "a04", "a05", "a07", "b01", "b02", "b03", "b09", "b10")},
        "emotion": {
            "W": "angry",
            "L": "bored",
            "E": "disgust",
            "A": "fearful",
            "F": "happy",
            "N": "neutral",
            "T": "sad",
        },
    },
    fields=add_gender,
)
