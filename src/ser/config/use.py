"""The commands that use a fine-tuned checkpoint."""

from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING

from ser.config.choices import Combine, Format, Quantize
from ser.errors import UserError

OUTPUTS = (".csv", ".jsonl")


@dataclass
class Predict:
    """Values of `ser predict`."""

    checkpoint: Any = MISSING
    """A run folder, a checkpoint folder or a repository of the hub; or a list of them, which answer together."""
    audio: str = MISSING
    """A file, a folder, a pattern, a CSV with a column `path`, or `-`: raw 16-bit PCM from standard input."""
    root: str | None = None
    """The folder that the paths of a CSV start from; null: the CSV's own."""
    output: str | None = None
    """A file for the answers; `.csv` or `.jsonl` says in which form. With `audio=-` they are printed as they come."""
    window: float | None = None
    """Seconds: slide over each recording and answer every stretch of this length; null: one answer a recording."""
    hop: float | None = None
    """Seconds from the begin of one window to that of the next; null: a whole window."""
    timeline: str | None = None
    """A folder for a picture of each recording over its length."""
    longest: float = MISSING
    """Seconds: a longer recording is not answered as one. A model trained on sentences knows nothing of minutes, and
    what attention needs grows with the square of the length."""
    combine: Combine = MISSING
    batch_size: int = MISSING
    sample_rate: int = MISSING
    """Hertz, of `audio=-`."""
    channels: int = MISSING
    """Of `audio=-`."""

    def __post_init__(self) -> None:
        """One checkpoint is a list of one; refuse what cannot be slid over or written."""
        given = self.checkpoint if isinstance(self.checkpoint, list) else [self.checkpoint]
        self.checkpoint = [str(entry) for entry in given]
        if not self.checkpoint or len(set(self.checkpoint)) < len(self.checkpoint):
            raise UserError(f"checkpoint={self.checkpoint}: give at least one, and each once")
        if self.output is not None and not self.output.endswith(OUTPUTS):
            raise UserError(f"output={self.output}: its name must end in one of {', '.join(OUTPUTS)}")
        if self.window is None and (self.hop is not None or self.timeline is not None or self.audio == "-"):
            needs = "hop" if self.hop is not None else "timeline" if self.timeline is not None else "audio=-"
            raise UserError(f"window=null: {needs} needs a window, such as window=4")
        for key in ("window", "hop", "longest", "batch_size", "sample_rate", "channels"):
            if (value := getattr(self, key)) is not None and not value > 0:
                raise UserError(f"{key}={value}: it must be above 0")
        if self.window is not None and not 0.1 <= self.window <= self.longest:
            raise UserError(f"window={self.window}: it must lie between 0.1 and longest={self.longest} seconds")


@dataclass
class Push:
    """Values of `ser push`. The login is that of `hf auth login` or HF_TOKEN: a token has no key here."""

    checkpoint: str = MISSING
    repo: str = MISSING
    private: bool = MISSING
    """Of a repository that is created; one that everybody can read is then refused."""
    dry_run: bool = MISSING
    output_dir: str | None = None
    """Where a dry run writes what would be sent; null: a folder `push` beside the checkpoint."""

    def __post_init__(self) -> None:
        """Refuse a folder that nothing would be written to."""
        if self.output_dir is not None and not self.dry_run:
            raise UserError(f"output_dir={self.output_dir}: only dry_run=true writes there")


@dataclass
class Hub:
    """Whether `ser train` sends its checkpoint to the hub at the end, as `ser push` does."""

    push: bool = MISSING
    repo: str | None = None
    private: bool = MISSING

    def __post_init__(self) -> None:
        """Refuse to push to nowhere."""
        if self.push and self.repo is None:
            raise UserError("hub.push=true: give hub.repo=USER/NAME")


@dataclass
class Export:
    """Values of `ser export`."""

    checkpoint: str = MISSING
    format: Format = MISSING
    quantize: Quantize | None = None
    """A second model, whose matrix products are computed in this type; null: none."""
    score: bool = MISSING
    """Score the checkpoint and what was made of it on the test list, where the data are here."""
    batch_size: int = MISSING
    root: str | None = None
    data_dir: str | None = None
    """What `prepare-data` wrote; null: data/<corpus of the checkpoint>."""
    output_dir: str | None = None
    """Where the model goes; null: a folder beside the checkpoint, named by the format."""
