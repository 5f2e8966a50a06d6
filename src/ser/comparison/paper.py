"""Table III of Gavali & Verma 2023: what the paper reports of its four models, each one run on its own test list."""

from typing import NamedTuple


class Published(NamedTuple):
    """A row of the table."""

    accuracy: float
    step: int
    bytes: int
    """On disk."""
    seconds: int
    """Up to that step, on a T4 or an A100; the paper does not say which."""


TABLE_III = {
    "wav2vec2_base": Published(0.84, 1300, 380_000_000, 39 * 60),
    "xlsr_300m": Published(0.85, 800, 1_270_000_000, 21 * 60 + 40),
    "xlsr_1b": Published(0.82, 500, 3_860_000_000, 25 * 60 + 40),
    "hubert_large": Published(0.88, 600, 1_270_000_000, 16 * 60 + 34),
}
"""By the name of the model in configs/model/."""
