"""What is known of a corpus besides its recordings."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ser.corpora.download import Archive


@dataclass(frozen=True)
class Format:
    """The audio format of a published corpus; another rate or length shows that files were changed."""

    sample_rate: int
    """Hertz."""
    shortest: float
    """Seconds."""
    longest: float
    """Seconds."""
    other_rates: tuple[int, ...] = ()
    """Hertz, of the published files that have another rate."""


@dataclass(frozen=True)
class Facts:
    """The facts of a corpus that reports, model cards and the audit print."""

    description: str
    """One phrase, printed beside every number."""
    voices: str = "recordings that its user labelled"
    """Who speaks, in one phrase."""
    source: str | None = None
    """Its address."""
    license: str | None = None
    """The hub's name of its licence, or `other`; None: no conditions are known."""
    commercial: bool = True
    """Whether the licence allows commercial use."""
    synthetic: bool = False
    """True where no human spoke."""
    language: str = ""
    """ISO 639-1 code of its only language; empty where it has several, or is unknown."""
    format: Format | None = None
    emotions: tuple[str, ...] = ()
    """The labels in their order; empty: those that occur, in alphabetical order."""
    clips: Mapping[str, int] = field(default_factory=dict)
    """Published number of recordings of each emotion, without broken ones; of the emotions for which it is known."""
    speakers: int | None = None
    """Published number of speakers."""
    archives: tuple[Archive, ...] = ()
    """What `download=true` fetches; empty where the owner gives no direct link."""

    def to_json(self) -> dict[str, Any]:
        """Return what `audit.json` and the stamp of a checkpoint keep."""
        kept = ("description", "voices", "source", "license", "commercial", "synthetic", "language")
        return {name: value for name, value in asdict(self).items() if name in kept}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Facts":
        return cls(**content)


def join_facts(parts: Mapping[str, Facts]) -> Facts:
    """Return the facts of several corpora together; the strictest licence holds."""
    several = list(parts.values())
    licenses = sorted({facts.license for facts in several if facts.license})
    languages = {facts.language for facts in several}
    return Facts(
        description="; ".join(facts.description for facts in several),
        voices="; ".join(facts.voices for facts in several),
        license=licenses[0] if len(licenses) == 1 else "other" if licenses else None,
        commercial=all(facts.commercial for facts in several),
        synthetic=any(facts.synthetic for facts in several),
        language=languages.pop() if len(languages) == 1 else "",
    )
