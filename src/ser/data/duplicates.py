"""Find recordings that are duplicates although their samples differ.

Where one take stands in a corpus under two names, a split can put the same sound on both sides. Equal samples show in
their hash; a copy that was encoded again, made louder, resampled, inverted or trimmed does not. It takes two steps to
find: a fingerprint of each clip, which all of that leaves alone, names the candidates, and the waveforms of each
candidate, laid over one another, decide. The fingerprints of some thousand clips are all compared, by a matrix product;
those of more are compared where an index finds them alike (`ser.data.duplicate_index`).
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ser.console import progress
from ser.data.audio import SAMPLE_RATE, SILENCE
from ser.data.audio_file import Int16
from ser.data.duplicate_index import TOKENS, Tokens, choose_values, find_neighbours
from ser.data.parallel import in_threads

BAND = (100, 3000)
"""Hertz that are compared: above the hum that recordings share, and below what codecs and telephones take away."""
SPACING = 2
"""Hertz from one value of the fingerprint to the next."""
TREND = 13
"""Values, 26 Hz, of the moving average that the fingerprint loses; formants and other traits of a voice are wider."""
VALUES = (BAND[1] - BAND[0]) // SPACING

# Measured on the 1440 clips of RAVDESS, 2026-11-22: 19 copies of each, and all 1 036 079 pairs that are no copies.
#
#                                                                       fingerprints      waveforms
#   copies, at least
#     gain -12 dB, inverted, WAV, FLAC, 44.1 kHz, silence added         0.92              0.99
#     50 ms cut at the start or the end, all silence around removed     0.98              0.97
#     OGG at 48 or 16 kHz (at its lowest quality)                       0.91 (0.85)       0.98 (0.96)
#     MP3 at 48 or 16 kHz (at its lowest quality)                       0.95 (0.69)       0.99 (0.95)
#     telephone (8 kHz, mu-law); with white noise at -20 dB             0.88; 0.93        0.98; 0.99
#     gain -12 dB, 50 ms cut and OGG (also the silence removed)         0.88 (0.68)       0.96 (0.97)
#   no copies, at most
#     the 720 pairs of repetitions                                      0.31              0.58
#     any pair (waveforms: of the 5000 most alike by fingerprint)       0.31              0.51
#     the same of the loudest 2 s, 1 s, 0.5 s of each clip (400 pairs)  0.32, 0.37, 0.55  0.51, 0.64, 0.83
#
# What the index finds of these copies among 100 000 clips is in scripts/README.md.
CANDIDATE = 0.5
"""Least correlation of the fingerprints of two clips whose waveforms are worth comparing."""
SAME = 0.85
"""Least correlation of the waveforms of copies."""
BRIEF = 0.5
"""Seconds. A vowel held on one pitch is nearly periodic, and in a shorter clip two takes of it agree as copies do (0.96
in the loudest 0.25 s of the clips above): there, equal samples alone make a copy."""
KEPT = 0.5
"""Share of its energy that each of two clips must have in the stretch they share; what is missing counts against them,
so that the end of one clip cannot agree with the start of another by chance."""

ALL_PAIRS = 20_000
"""Most clips of which all pairs are compared: 11 s on one core and 116 MB of fingerprints; a million clips would take
ten hours and 6 GB. The index takes less than a second, and more than 99.9 % of the copies are its candidates."""
ROWS_AT_A_TIME = 1000
"""Fingerprints compared with all others at once: 80 MB of correlations where there are 20 000 clips."""
PAIRS_AT_A_TIME = 2000
"""Candidates of the index whose fingerprints are computed again at once: 23 MB at the most."""
MOST_COPIES = 20
"""Earlier copies of a clip that are found at the most: of n copies of one recording not all n (n - 1) / 2 pairs are
compared, but each clip with the first ones."""


@dataclass(frozen=True)
class Duplicate:
    """Two clips that hold the same recording."""

    first: int
    """Index of a clip."""
    second: int
    """Index of a later one."""
    correlation: float
    """Of their waveforms where they agree best, 0 to 1; exactly 1 where the samples are equal."""


def find_duplicates(clips: Sequence[Int16]) -> list[Duplicate]:
    """Find all pairs of clips that hold the same recording.

    Silent clips (the audit's -60 dB) hold nothing to tell them by and are in no pair; of clips shorter than half a
    second only the equal ones are, and among more than `ALL_PAIRS` clips none. Not looked for: another speed, and a
    cut through most of what is spoken.

    Args:
        clips: mono samples at 16 kHz, each `(samples,)`; views of a mapped file stay views.

    Returns:
        The pairs in the order of their indices. A clip that has `MOST_COPIES` earlier copies has perhaps more.
    """
    copies = Counter[int]()

    def compare(pair: tuple[int, int]) -> Duplicate:
        first, second = pair
        return Duplicate(first, second, correlate(clips[first], clips[second]))

    candidates = compare_all(clips) if len(clips) <= ALL_PAIRS else search_index(clips)
    found = []
    for duplicate in in_threads(compare, (pair for pair in candidates if copies[pair[1]] < MOST_COPIES)):
        if duplicate.correlation > SAME:
            found.append(duplicate)
            copies[duplicate.second] += 1
    return found


def compare_all(clips: Sequence[Int16]) -> Iterator[tuple[int, int]]:
    """Return the pairs of clips whose fingerprints are alike, each with the smaller index first, in order."""
    fingerprints = np.empty((len(clips), VALUES), np.float32)
    for row, computed in zip(fingerprints, in_threads(fingerprint, clips), strict=True):
        row[:] = computed
    return find_candidates(fingerprints)


def search_index(clips: Sequence[Int16]) -> Iterator[tuple[int, int]]:
    """Return most pairs that `compare_all` does, in a time that is linear in clips; the index misses a few.

    Clips too brief to tell are left out: those that are equal have equal checksums.
    """
    indices, tokens = tokenize(clips)
    pairs = find_neighbours(tokens)
    for start in range(0, len(pairs), PAIRS_AT_A_TIME):
        some = indices[pairs[start : start + PAIRS_AT_A_TIME]]
        alone, places = np.unique(some, return_inverse=True)
        computed = np.stack(list(in_threads(lambda index: fingerprint(clips[index]), alone.tolist())))
        first, second = places.reshape(some.shape).T
        alike = np.einsum("ij,ij->i", computed[first], computed[second]) > CANDIDATE
        yield from zip(*some[alike].T.tolist(), strict=True)


def tokenize(clips: Sequence[Int16]) -> tuple[npt.NDArray[np.int64], Tokens]:
    """Compute the tokens by which the index finds clips; no fingerprint is kept.

    Returns:
        The indices of the clips that are long enough, `(long clips,)`, and their tokens, `(long clips, TOKENS)`.
    """
    chosen = choose_values(VALUES)

    def compute(samples: Int16) -> npt.NDArray[Any] | None:
        return fingerprint(samples)[chosen].argmax(axis=1) if len(samples) >= BRIEF * SAMPLE_RATE else None

    indices, tokens = np.empty(len(clips), np.int64), np.empty((len(clips), TOKENS), np.uint8)
    number = 0
    with progress(
        in_threads(lambda index: compute(clips[index]), range(len(clips))),
        "Looking for copies",
        total=len(clips),
        noun="recordings",
    ) as computed:
        for index, row in enumerate(computed):
            if row is not None:
                indices[number], tokens[number] = index, row
                number += 1
    return indices[:number], tokens[:number]


def fingerprint(samples: Int16) -> npt.NDArray[np.float32]:
    """Describe a clip by the ripples of its long-term spectrum.

    The magnitude of the Fourier transform of a whole clip knows neither where the clip starts nor its sign. The square
    root keeps a few strong harmonics from being all that counts. Its moving average, which is subtracted, holds what a
    voice, a vowel or a microphone gives to many clips. The ripples that are left depend on where every sound of the
    recording lies to the millisecond, and two takes of a sentence by one speaker have next to none in common.

    A Fourier transform that is sampled each 2 Hz belongs to a signal with a period of half a second: the clip laid over
    itself in pieces of that length. So one transform of 8000 samples is exact for a clip of any duration.

    Args:
        samples: mono at 16 kHz, `(samples,)`.

    Returns:
        `(1450,)`, without a unit and of length 1, for 100, 102, ... 2998 Hz: the product of two fingerprints is their
        correlation. All zero for a clip that is silent or constant.
    """
    centred = samples - samples.mean() if len(samples) else np.zeros(1)
    if np.abs(centred).max() < SILENCE:
        return np.zeros(VALUES, np.float32)
    period = SAMPLE_RATE // SPACING
    pieces = np.pad(centred, (0, -len(centred) % period)).reshape(-1, period)
    magnitude = np.abs(np.fft.rfft(pieces.sum(axis=0)))[BAND[0] // SPACING : BAND[1] // SPACING]
    ripples = subtract_trend(np.sqrt(magnitude))
    return (ripples / (np.linalg.norm(ripples) or 1.0)).astype(np.float32)


def subtract_trend(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Subtract the moving average; the ends count as going on for ever."""
    padded = np.pad(values, TREND // 2, mode="edge")
    return values - np.convolve(padded, np.full(TREND, 1 / TREND), mode="valid")


def find_candidates(fingerprints: npt.NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    """Return the pairs of rows of `(clips, values)` that are alike, each with the smaller index first, in order."""
    for start in range(0, len(fingerprints), ROWS_AT_A_TIME):
        alike = fingerprints[start : start + ROWS_AT_A_TIME] @ fingerprints[start:].T > CANDIDATE
        first, second = np.nonzero(np.triu(alike, 1))
        yield from zip((first + start).tolist(), (second + start).tolist(), strict=True)


def correlate(one: Int16, other: Int16) -> float:
    """Lay two clips over one another where they agree best, whichever sign or gain they have.

    Args:
        one: mono samples at 16 kHz, `(samples,)`.
        other: the same, of any length.

    Returns:
        0 to 1: the magnitude of the normalised correlation over the stretch that the clips share there. 1 where the
        samples are equal, 0 where they are not and a clip is too brief to tell.
    """
    if np.array_equal(one, other):
        return 1.0
    if min(len(one), len(other)) < BRIEF * SAMPLE_RATE:
        return 0.0
    size = transform_size(len(one) + len(other))  # long enough for the ends not to wrap onto one another
    spectra = band_spectrum(one, size), band_spectrum(other, size)
    lag = int(np.argmax(np.abs(np.fft.irfft(spectra[0] * spectra[1].conj(), size))))
    lag -= size if lag >= len(one) else 0  # the lags below zero stand at the end
    a, b = np.fft.irfft(spectra[0], size)[: len(one)], np.fft.irfft(spectra[1], size)[: len(other)]
    x, y = a[max(lag, 0) : max(len(b) + lag, 0)], b[max(-lag, 0) : max(len(a) - lag, 0)]
    energy = max(inner(x, x), KEPT * inner(a, a)) * max(inner(y, y), KEPT * inner(b, b))
    return min(abs(inner(x, y)) / math.sqrt(energy), 1.0) if energy else 0.0


def transform_size(samples: int) -> int:
    """Return the smallest power of two, or three quarters of one, that is large enough."""
    power = 1 << samples.bit_length()
    return power * 3 // 4 if samples <= power * 3 // 4 else power


def band_spectrum(samples: Int16, size: int) -> npt.NDArray[Any]:
    """Compute the spectrum `(size // 2 + 1,)` of a clip, padded with zeros to `size` samples, inside BAND."""
    spectrum = np.fft.rfft(samples.astype(np.float32), size)
    spectrum[: BAND[0] * size // SAMPLE_RATE] = 0
    spectrum[BAND[1] * size // SAMPLE_RATE :] = 0
    return spectrum


def inner(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    """Compute the inner product, not by BLAS, where all cores would wait for one another at each short sum."""
    return float((one * other).sum())
