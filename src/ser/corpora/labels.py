"""Labels: one spelling for each emotion, and the choice of those that are used."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from ser.errors import UserError, suggest

SPELLINGS = {
    "amused": "amusement",
    "angry": "anger ang angr mad rage raiva wut",
    "anxious": "anxiety",
    "bored": "boredom boredem boring",
    "calm": "calmness relaxed",
    "contempt": "contemptuous",
    "disappointed": "disappointment",
    "disgust": "disgusted dis disg disgusting",
    "excited": "excitement exc excite enthusiasm enthusiastic",
    "fearful": "fear fea scared afraid anxietyfear",
    "frustrated": "frustration fru",
    "happy": "happiness hap happ joy joyful joyfully",
    "neutral": "neutrality neu normal neutrale",
    "other": "oth others",
    "pain": "painful",
    "pleasure": "pleased",
    "sad": "sadness sadly",
    "sleepy": "sleepiness",
    "surprised": "surprise sur surp ps pleasant_surprise pleasant_surprised pleasantsurprise",
}
"""Label -> other spellings of it, divided by spaces."""
ALIASES = {spelling: label for label, spellings in SPELLINGS.items() for spelling in spellings.split()}
"""Other spelling -> label. Single letters are codes of a corpus and stand in its file: A is fear in EMO-DB and anger in
MSP-Podcast."""

SCHEMES: dict[str, dict[str, str]] = {
    "ravdess8": {
        label: label for label in ("angry", "calm", "disgust", "fearful", "happy", "neutral", "sad", "surprised")
    },
    "big6": {label: label for label in ("angry", "disgust", "fearful", "happy", "sad", "surprised")},
    "iemocap4": {"angry": "angry", "happy": "happy", "excited": "happy", "neutral": "neutral", "sad": "sad"},
    "iemocap6": {label: label for label in ("angry", "excited", "frustrated", "happy", "neutral", "sad")},
}
"""Name -> the label of each emotion that it has; others are left out. `big6` is Ekman's six; `iemocap4` counts
excitement as happiness, as is usual with IEMOCAP."""


def normalise(text: str) -> str:
    """Return the label of a text.

    >>> normalise("Anger"), normalise(" Pleasant surprise "), normalise("tired")
    ('angry', 'surprised', 'tired')
    """
    plain = "_".join(text.strip().lower().replace("-", " ").split())
    return ALIASES.get(plain, plain)


@dataclass
class LabelMap:
    """Maps the labels of a corpus, and counts what it maps and leaves out."""

    emotions: Mapping[str, str | None]
    """The user's choice: label or spelling -> label; None leaves it out."""
    scheme: str | None = None
    counts: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    """Recordings by label as written and as used."""

    def __post_init__(self) -> None:
        """Raise a UserError for a scheme that does not exist."""
        if self.scheme is not None and self.scheme not in SCHEMES:
            raise UserError(
                f"corpus.scheme={self.scheme}: there is no such scheme{suggest(self.scheme, list(SCHEMES))}; "
                f"choices: {', '.join(SCHEMES)}"
            )
        chosen: dict[str, tuple[str, str | None]] = {}
        for text, value in self.emotions.items():
            first, before = chosen.setdefault(normalise(text), (text, value))
            if before != value:
                raise UserError(
                    f"corpus.emotions: {first} and {text} are one label, and cannot become {before} and {value}"
                )
        self._by_text = {text.strip().lower(): value for text, value in self.emotions.items()}
        self._by_label = {normalise(text): value for text, value in self.emotions.items()}

    def map(self, text: str, recordings: int = 1) -> str | None:
        """Return the label for a text, or None if its recordings are left out; count them.

        >>> LabelMap({"excited": "happy", "boredom": None}).map("Excitement")
        'happy'
        """
        label = self.look_up(text)
        self.counts[text.strip(), label] += recordings
        return label

    def look_up(self, text: str) -> str | None:
        plain, label = text.strip().lower(), normalise(text)
        for key, table in ((plain, self._by_text), (label, self._by_label)):
            if key in table:
                chosen = table[key]
                return None if chosen is None else normalise(chosen)
        return SCHEMES[self.scheme].get(label) if self.scheme else label

    def warnings(self) -> list[str]:
        """Return a line for each entry of the user's choice that changes nothing."""
        met = {key for text, _ in self.counts for key in (text.lower(), normalise(text))}
        labels = sorted({normalise(text) for text, _ in self.counts})
        lines = []
        for text, value in self.emotions.items():
            if not {text.strip().lower(), normalise(text)} & met:
                near = suggest(text, labels)
                lines.append(f"corpus.emotions: no recording has the label {text}{near}; there are {', '.join(labels)}")
            elif value is not None and value != text and normalise(value) == normalise(text):
                lines.append(f"corpus.emotions: {value} is a spelling of {normalise(text)}, and changes nothing")
        return lines

    def changes(self) -> dict[str, dict[str, int]]:
        """Return what was mapped to another word, and what was left out, with the numbers of recordings."""
        counts = sorted(self.counts.items(), key=str)
        return {
            "mapped": {f"{text} -> {label}": n for (text, label), n in counts if label not in (None, text.lower())},
            "left_out": {text: n for (text, label), n in counts if label is None},
        }
