"""Mixtures of two clips of a batch with their labels: mixup and CutMix of waveforms.

Zhang et al. 2018, mixup (arXiv 1710.09412); Yun et al. 2019, CutMix (arXiv 1905.04899). The other clip is brought to
the mean power of the first one, so that the shares of the labels are those of the sounds (Tokozume et al. 2018, arXiv
1711.10282): the levels of clips may lie 40 dB apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ser.config import Augment

Waveform = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Mixed:
    """The clips of a batch after mixing; the first label of each is the dominant one."""

    waveforms: list[Waveform]
    partners: list[int]
    """The place in the batch of the clip that each was mixed with; its own, where it was not."""
    shares: list[float]
    """The share of the partner's label, at most 0.5."""


def mix(waveforms: Sequence[Waveform], options: Augment, seed: Sequence[int]) -> Mixed:
    """Mix clips of a batch with one another.

    With probability `mix_probability` a clip becomes `(1 - s) x + s x'`, or a share `s` of its samples is replaced by
    those of `x'` at the same place. `1 - s` is the larger of `l` and `1 - l`, `l ~ Beta(alpha, alpha)`, so that a clip
    keeps its length and the larger share of its label.

    Args:
        waveforms: `(samples,)` float32 each; not changed.
        options: `mixup_alpha`, `cutmix_alpha`, `mix_probability`.
        seed: Whole numbers that decide the draws.
    """
    count, generator = len(waveforms), np.random.default_rng(seed)
    partners, chosen, which = generator.permutation(count), generator.random(count), generator.random(count)
    kinds = [kind for kind in ("mixup_alpha", "cutmix_alpha") if getattr(options, kind) > 0]
    mixed = Mixed(list(waveforms), list(range(count)), [0.0] * count)
    for place, partner in enumerate(partners.tolist()):
        kind = kinds[int(which[place] * len(kinds))]
        share = float(generator.beta(getattr(options, kind), getattr(options, kind)))
        start = float(generator.random())
        if partner == place or chosen[place] >= options.mix_probability:
            continue
        share, waveform = min(share, 1 - share), waveforms[place]
        other = fit(waveforms[partner], waveform)
        if kind == "mixup_alpha":
            changed = (1 - share) * waveform + share * other
        else:
            changed, share = replace_section(waveform, other, share, start)
        mixed.waveforms[place], mixed.partners[place], mixed.shares[place] = changed, partner, share
    return mixed


def replace_section(waveform: Waveform, other: Waveform, share: float, start: float) -> tuple[Waveform, float]:
    """Replace a section by that of another clip.

    Args:
        waveform: `(samples,)`.
        other: `(samples,)`.
        share: Of the samples that are replaced.
        start: Where the section begins: 0 at the beginning, 1 as late as possible.

    Returns:
        The waveform and the share of its samples that were replaced.
    """
    length = round(share * len(waveform))
    first = round(start * (len(waveform) - length))
    changed = waveform.copy()
    changed[first : first + length] = other[first : first + length]
    return changed, length / len(waveform)


def fit(other: Waveform, waveform: Waveform) -> Waveform:
    """Return a clip with the length of another one, cut or padded with silence, and with its mean power."""
    fitted = np.zeros_like(waveform)
    length = min(len(waveform), len(other))
    fitted[:length] = other[:length]
    power = float(np.mean(np.square(fitted)))
    return fitted * np.float32(np.sqrt(np.mean(np.square(waveform)) / power)) if power > 0 else fitted
