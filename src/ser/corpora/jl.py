"""JL corpus: New Zealand English with five primary and five secondary emotions (James et al. 2018).

    male2_concerned_6b_1.wav
    |     |         |  +- repetition 1, 2
    |     |         +---- sentence 1-15, with a or b
    |     +-------------- emotion
    +-------------------- speaker female1, female2, male1, male2

2400 recordings, 44.1 kHz. https://www.kaggle.com/datasets/tli725/jl-corpus; published as CC0 and as ODC-By by
different sources.
"""

from ser.corpora.facts import Facts, Format
from ser.corpora.file_names import Codes, FileNames

PRIMARY = ("angry", "excited", "happy", "neutral", "sad")
SECONDARY = ("anxious", "apologetic", "assertive", "concerned", "encouraging")
FACTS = Facts(
    description="JL corpus",
    voices="four speakers of New Zealand English with acted emotions",
    source="https://www.kaggle.com/datasets/tli725/jl-corpus",
    license="odc-by",  # the stricter of the two that are given
    language="en",
    format=Format(sample_rate=44_100, shortest=1.1, longest=3.8),
    clips=dict.fromkeys((*PRIMARY, *SECONDARY), 240),
    speakers=4,
)


def add_gender(codes: Codes) -> Codes:
    return {**codes, "gender": codes["speaker"][:-1]}


NAMES = FileNames(
    corpus="the JL corpus",
    pattern=r"(?P<speaker>[a-z]+[0-9])_(?P<emotion>[a-z]+)_(?P<statement>[0-9]{1,2}[ab])_(?P<repetition>[0-9])",
    codes={
        "speaker": {code: code for code in ("female1", "female2", "male1", "male2")},
        "emotion": {code: code for code in (*PRIMARY, *SECONDARY)},
        "statement": {f"{number}{half}": f"{number}{half}" for number in range(1, 16) for half in "ab"},
        "repetition": {"1": "1", "2": "2"},
    },
    fields=add_gender,
)
