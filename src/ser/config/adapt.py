"""Config of the adaptation to one voice."""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from ser.config.paths import PATH
from ser.config.ranges import check_ranges, number
from ser.errors import UserError


@dataclass
class Adapt:
    """Values of `ser adapt`."""

    checkpoint: str = field(default=MISSING, metadata=PATH)
    """A run folder, a checkpoint folder or a repository of the hub."""
    audio: str = field(default=MISSING, metadata=PATH)
    """Recordings of one speaker: a folder, a pattern, or a CSV with a column `path`. They have labels where a CSV has a
    column `emotion`, or where every recording lies in a folder with the name of one of the checkpoint's emotions."""
    root: str | None = field(default=None, metadata=PATH)
    """The folder that the paths of a CSV start from; null: the folder of the CSV."""
    labelled: bool | None = None
    """`true`: refuse recordings without labels; `false`: ignore labels; null: use them where they are."""
    prior: Any = None
    """Without labels: how frequent each emotion is among the recordings, `{emotion: share}` with shares of 1; null: all
    equally. The checkpoint is adapted to predict the emotions that often, so recordings of one mood need their own."""
    max_seconds: float = number(above=0)
    """Longest recording in seconds; see `ser predict`."""
    batch_size: int = number(least=1)
    """Clips in one forward pass; it does not change the result."""
    output_dir: str | None = field(default=None, metadata=PATH)
    """The folder for the adapted checkpoint; null: `adapted-NAME` beside the checkpoint, named after `audio`."""
    overwrite: bool = MISSING
    """Replace an adapted checkpoint that is there."""

    def __post_init__(self) -> None:
        """Raise a UserError for values that cannot be used."""
        check_ranges(self, "")
        if self.audio == "-":
            raise UserError("audio=-: give files of the speaker, a folder, or a CSV")
        if self.prior is not None and not is_distribution(self.prior):
            raise UserError(f"prior={self.prior}: give a share of 1 for each emotion, such as {{angry: 0.4, sad: 0.6}}")


def is_distribution(prior: Any) -> bool:
    """Return whether a value gives shares of 1 by name.

    >>> is_distribution({"angry": 0.4, "sad": 0.6}), is_distribution({"angry": 0.4})
    (True, False)
    """
    if not isinstance(prior, dict):
        return False
    shares = list(prior.values())
    numbers = all(isinstance(share, int | float) and share >= 0 for share in shares)
    return numbers and abs(sum(shares) - 1) < 0.01
