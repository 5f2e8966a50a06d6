"""Robustness: the scored clips under fixed degradations, the same for every checkpoint.

A condition depends on the clip and its name alone, so that two checkpoints are scored on the same samples. Nothing here
is ever used in training.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import NamedTuple

import numpy as np
import torch
from torchaudio.functional import resample

from ser import console
from ser.augmentation.effects import add_noise, limit_to_telephone_band, quantize_mu_law, reverberate, scale_level
from ser.augmentation.noise import coloured_noise
from ser.augmentation.rooms import simulate_response
from ser.data.audio import SAMPLE_RATE
from ser.data.audio_file import Int16
from ser.data.manifest import Utterance
from ser.evaluation.intervals import measure_recall
from ser.evaluation.mp3 import BIT_RATE, through_mp3
from ser.evaluation.predictions import SplitPredictions
from ser.evaluation.samples import Waveform, to_int16, to_waveform
from ser.evaluation.scoring import PredictClips
from ser.models.arrays import Probabilities

CLEAN = "clean"
SEED = 20261127
"""Of all noises and of the room."""
PINK = 1.0
TELEPHONE_RATE = 8000
REVERBERATION_TIME, DIRECT_TO_REVERBERANT = 0.6, 0.0
"""Seconds, decibels."""
QUIETER = -30.0
"""Decibels."""
AT_ONCE = 256
"""Clips whose degraded samples are in memory at a time."""


@dataclass(frozen=True)
class Condition:
    """A fixed degradation of a clip."""

    text: str
    """What is done, with its formula."""
    degrade: Callable[[Waveform, int], Waveform]
    """Takes the waveform and the seed of its clip, and returns a waveform of the same length."""


def noisy(waveform: Waveform, seed: int, snr: float) -> Waveform:
    """Add pink noise, the same for each ratio."""
    return add_noise(waveform, coloured_noise(len(waveform), PINK, torch.Generator().manual_seed(seed)), snr)


def by_telephone(waveform: Waveform, seed: int) -> Waveform:
    """Pass the band of a telephone, and quantise to mu-law at its sample rate."""
    at_8_khz = resample(limit_to_telephone_band(waveform), SAMPLE_RATE, TELEPHONE_RATE)
    received: Waveform = resample(quantize_mu_law(at_8_khz), TELEPHONE_RATE, SAMPLE_RATE)
    return received[: len(waveform)]


def in_room(waveform: Waveform, seed: int) -> Waveform:
    """Reverberate in the one room of all clips."""
    return reverberate(waveform, room())


@cache
def room() -> Waveform:
    return simulate_response(REVERBERATION_TIME, DIRECT_TO_REVERBERANT, torch.Generator().manual_seed(SEED))


def compressed(waveform: Waveform, seed: int) -> Waveform:
    """Encode as MP3, and decode."""
    return torch.from_numpy(through_mp3(waveform.numpy()))


def quieter(waveform: Waveform, seed: int) -> Waveform:
    """Lower the level."""
    return scale_level(waveform, QUIETER)


NOISE = (
    "pink noise (power proportional to 1/f), drawn from the name of the clip, at a signal-to-noise ratio "
    "10 log10(sum x^2 / sum n^2) of {} dB over the whole clip"
)
CONDITIONS: Mapping[str, Condition] = {
    **{f"noise at {snr} dB": Condition(NOISE.format(snr), partial(noisy, snr=float(snr))) for snr in (20, 10, 0)},
    "telephone": Condition("300 to 3400 Hz, then the 256 levels of mu-law at 8 kHz (ITU-T G.712, G.711)", by_telephone),
    "room": Condition(
        f"one simulated room for all clips, y = g (x * h), h(t) = noise * exp(-3 ln(10) t / T) with a reverberation "
        f"time T of {REVERBERATION_TIME:g} s and a direct-to-reverberant ratio of {DIRECT_TO_REVERBERANT:g} dB",
        in_room,
    ),
    f"MP3 at {BIT_RATE} kbit/s": Condition(
        f"encoded as MP3 at a constant {BIT_RATE} kbit/s (16 kHz, mono) and decoded, the delay of the codec cut off",
        compressed,
    ),
    f"quieter by {-QUIETER:g} dB": Condition(
        f"y = 10^({QUIETER:g}/20) x, stored in 16 bits; an encoder that normalises its input undoes all but the "
        "rounding",
        quieter,
    ),
}
"""By name, in the order of tables and figures."""


def seed_of(utterance: Utterance) -> int:
    """Return the seed of a clip: that of its speaker and name, wherever it is stored."""
    digest = hashlib.sha256("\0".join([str(SEED), *utterance.key]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1  # a torch.Generator takes 63 bits


def degrade(samples: Int16, condition: Condition, seed: int) -> Int16:
    """Return a clip under a condition, `(samples,)`; see `to_int16` for what exceeds full scale."""
    return to_int16(condition.degrade(to_waveform(samples), seed))


def predict_stressed(
    predict: PredictClips, clips: Sequence[Int16], utterances: Sequence[Utterance]
) -> dict[str, Probabilities]:
    """Predict clips under each condition, with a progress bar.

    Args:
        predict: predicts clips.
        clips: the samples of each utterance; they may be read when they are asked for.
        utterances: their names decide the noise.

    Returns:
        By condition: `(clips, emotions)`.
    """
    blocks = [(name, start) for name in CONDITIONS for start in range(0, len(utterances), AT_ONCE)]
    predicted: dict[str, list[Probabilities]] = {name: [] for name in CONDITIONS}
    with console.progress(blocks, "Degraded clips", len(blocks), noun="blocks of clips") as shown:
        for name, start in shown:
            some = enumerate(utterances[start : start + AT_ONCE], start)
            degraded = [degrade(clips[place], CONDITIONS[name], seed_of(row)) for place, row in some]
            predicted[name].append(predict(degraded))
    return {name: np.concatenate(parts) for name, parts in predicted.items()}


class StressRow(NamedTuple):
    """The metrics under one condition."""

    condition: str
    accuracy: float
    unweighted_average_recall: float
    interval_low: float
    """95 %, of the UAR."""
    interval_high: float
    change: float
    """UAR minus that of the clean clips."""
    clips: int


def tabulate(clean: SplitPredictions, stressed: Mapping[str, Probabilities], units: Sequence[str]) -> list[StressRow]:
    """Compute the metrics of the clean clips and of each condition.

    Args:
        clean: the predictions of the clips as they are.
        stressed: by condition, the probabilities of the same clips, `(clips, emotions)`.
        units: what the intervals resample, for each clip.
    """
    truth, emotions = clean.truth, list(clean.emotions)
    rows: list[StressRow] = []
    for name, probabilities in {CLEAN: clean.probabilities, **stressed}.items():
        labels = [emotions[index] for index in probabilities.argmax(axis=-1)]
        recall = measure_recall(truth, labels, emotions, units)
        change = recall.unweighted_average_recall - rows[0].unweighted_average_recall if rows else 0.0
        rows.append(StressRow(name, *recall, change, len(truth)))
    return rows
