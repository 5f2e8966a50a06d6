"""Recall of the index of copies, on copies that are planted among many recordings.

    python scripts/duplicates.py RAVDESS EMODB URDU --clips 100000 --each 200

The recordings are the clips of the folders, each played at many speeds between 0.6 and 1.7 times its own: no two of
them are copies, since the search looks for none at another speed, but they are as alike as speech is. Of a random part
of them copies of each kind are planted. A copy counts where the fingerprints of the pair correlate enough for the
search among all pairs, and is found where the index names the pair. With --all-pairs the search among all pairs runs
beside the index, and has to find the same copies: 6 KB a clip, and quadratic time.
"""

import argparse
import io
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from ser.data import duplicates
from ser.data.audio import SAMPLE_RATE, load, resample, round_to_int16
from ser.data.audio_file import Int16
from ser.data.duplicate_index import Tokens, choose_values, find_neighbours
from ser.data.duplicates import CANDIDATE, VALUES, fingerprint
from ser.data.parallel import cores

Fingerprints = npt.NDArray[np.float32]

SPEEDS = (0.6, 1.7)
CUT = SAMPLE_RATE // 20
LOW = {"compression_level": 1.0}
LOW_MP3 = {"compression_level": 0.99}  # libsndfile refuses 1
LOWEST_MP3 = {**LOW_MP3, "bitrate_mode": "CONSTANT"}  # 8 kbit/s
CHOSEN = choose_values(VALUES)


def encode(kind: str, subtype: str, rate: int, samples: Int16, **options: Any) -> Int16:
    """Return what is decoded of a clip that was written at some rate and in some format."""
    file = io.BytesIO()
    soundfile.write(file, soxr.resample(samples / 32768, SAMPLE_RATE, rate), rate, subtype, format=kind, **options)
    decoded, _ = soundfile.read(io.BytesIO(file.getvalue()), dtype="float32")
    return resample(round_to_int16(decoded * np.float32(32768)), rate)


def quieter(samples: Int16) -> Int16:
    return np.rint(samples * 10 ** (-12 / 20)).astype(np.int16)


def without_silence(samples: Int16) -> Int16:
    magnitude = np.abs(samples.astype(np.int32))
    loud = np.flatnonzero(magnitude > 0.05 * magnitude.max())
    return samples[loud[0] : loud[-1] + 1]


def noisy(samples: Int16) -> Int16:
    noise = np.random.default_rng(len(samples)).normal(0, samples.astype(np.float32).std() / 10, len(samples))
    return np.clip(np.rint(samples + noise), -32768, 32767).astype(np.int16)


ogg, mp3 = partial(encode, "OGG", "VORBIS"), partial(encode, "MP3", "MPEG_LAYER_III")
KINDS: dict[str, Callable[[Int16], Int16]] = {
    "gain -12 dB": quieter,
    "inverted": lambda samples: -np.maximum(samples, -32767),
    "44.1 kHz": partial(encode, "WAV", "PCM_16", 44_100),
    "silence added": lambda samples: np.pad(samples, (SAMPLE_RATE, SAMPLE_RATE // 3)),
    "50 ms cut at the start": lambda samples: samples[CUT:],
    "50 ms cut at the end": lambda samples: samples[:-CUT],
    "silence removed": without_silence,
    "OGG, 16 kHz": partial(ogg, SAMPLE_RATE),
    "OGG, 48 kHz": partial(ogg, 48_000),
    "OGG, 16 kHz, lowest quality": partial(ogg, SAMPLE_RATE, **LOW),
    "OGG, 48 kHz, lowest quality": partial(ogg, 48_000, **LOW),
    "MP3, 16 kHz": partial(mp3, SAMPLE_RATE),
    "MP3, 48 kHz": partial(mp3, 48_000),
    "MP3, 16 kHz, lowest quality": partial(mp3, SAMPLE_RATE, **LOW_MP3),
    "MP3, 48 kHz, lowest quality": partial(mp3, 48_000, **LOW_MP3),
    "MP3, 16 kHz, 8 kbit/s": partial(mp3, SAMPLE_RATE, **LOWEST_MP3),
    "telephone (8 kHz, mu-law)": partial(encode, "WAV", "ULAW", 8000),
    "white noise at -20 dB": noisy,
    "gain, cut, OGG": lambda samples: ogg(SAMPLE_RATE, quieter(samples[CUT:])),
    "silence removed, gain, cut, OGG": lambda samples: ogg(SAMPLE_RATE, quieter(without_silence(samples)[CUT:-CUT])),
}


class Planted(NamedTuple):
    """A copy of a clip."""

    kind: str
    original: int
    """Index of the speed, or of the clip among all."""
    correlation: float
    """Of the fingerprints."""
    fingerprint: Fingerprints
    tokens: Tokens


def compute_tokens(fingerprints: Fingerprints) -> Tokens:
    """Return the tokens of one fingerprint."""
    return fingerprints[CHOSEN].argmax(axis=-1).astype(np.uint8)


def play(samples: Int16, speed: float) -> Int16:
    """Return a clip at another speed and pitch."""
    return round_to_int16(soxr.resample(samples.astype(np.float32), SAMPLE_RATE * speed, SAMPLE_RATE))


def make_clips(path: Path, kinds: dict[int, list[str]], speeds: int, keep: bool) -> tuple[Any, Tokens, list[Planted]]:
    """Return the fingerprints (where they are kept) and tokens of a file at all speeds, and the copies of them."""
    base, prints, tokens, planted = load(path).samples, [], [], []
    for place, speed in enumerate(np.geomspace(*SPEEDS, speeds)):
        clip = play(base, speed)
        prints.append(fingerprint(clip))
        tokens.append(compute_tokens(prints[-1]))
        for kind in kinds.get(place, ()):
            copy = fingerprint(KINDS[kind](clip))
            planted.append(Planted(kind, place, float(copy @ prints[-1]), copy, compute_tokens(copy)))
    return np.array(prints) if keep else None, np.array(tokens), planted


def make_corpus(files: list[Path], speeds: int, each: int, keep: bool) -> tuple[Any, Tokens, list[Planted]]:
    """Return the fingerprints and tokens of all clips, the planted copies last, and these."""
    chance, kinds = np.random.default_rng(0), [dict[int, list[str]]() for _ in files]
    for kind in KINDS:
        for chosen in chance.choice(len(files) * speeds, each, replace=False).tolist():
            kinds[chosen // speeds].setdefault(chosen % speeds, []).append(kind)
    prints, tokens, planted = [], [], list[Planted]()
    with ProcessPoolExecutor(cores()) as pool:
        jobs = pool.map(partial(make_clips, speeds=speeds, keep=keep), files, kinds, chunksize=4)
        for number, (some, made, copies) in enumerate(jobs):
            prints.append(some)
            tokens.append(made)
            planted += [copy._replace(original=number * speeds + copy.original) for copy in copies]
    tokens.append(np.array([copy.tokens for copy in planted]))
    prints.append(np.array([copy.fingerprint for copy in planted]))
    return np.concatenate(prints) if keep else None, np.concatenate(tokens), planted


def search(tokens: Tokens) -> set[tuple[int, int]]:
    """Return the candidates of the index; print its time and memory."""
    begun = process_time()
    pairs = find_neighbours(tokens)
    seconds = process_time() - begun
    tracemalloc.start()
    find_neighbours(tokens)
    taken = tracemalloc.get_traced_memory()[1] / len(tokens) + tokens.shape[1]
    print(f"index: {len(tokens)} clips, {seconds:.1f} s, {taken:.0f} bytes a clip, {len(pairs)} candidates")
    return set(map(tuple, pairs.tolist()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--clips", type=int, default=10_000)
    parser.add_argument("--each", type=int, default=50, help="planted copies of each kind")
    parser.add_argument("--all-pairs", action="store_true")
    given = parser.parse_args()
    files = sorted(path for folder in given.folders for path in folder.rglob("*.wav"))
    prints, tokens, planted = make_corpus(files, -(-given.clips // len(files)), given.each, given.all_pairs)
    first = len(tokens) - len(planted)
    pairs = [(copy.original, first + number) for number, copy in enumerate(planted)]
    found = search(tokens)
    due = {pair for pair, copy in zip(pairs, planted, strict=True) if copy.correlation > CANDIDATE}
    if given.all_pairs:
        begun = process_time()
        everything = set(duplicates.find_candidates(prints))
        print(f"all pairs: {process_time() - begun:.1f} s, {len(everything)} candidates")
        print(f"  of these, found by the index: {len(everything & found)}; equal on planted copies: ", end="")
        print(everything & set(pairs) == due)
    print(f"planted {len(pairs)}, found by all pairs {len(due)}, of these by the index {len(due & found)}")
    print(f"recall {len(due & found) / len(due):.4f}, other candidates {len(found - set(pairs))}")
    print("| planted | least correlation | by all pairs | of these by the index |\n|---|---|---|---|")
    for kind in KINDS:
        some = [(pair, copy.correlation) for pair, copy in zip(pairs, planted, strict=True) if copy.kind == kind]
        known = {pair for pair, _ in some} & due
        lowest = min(correlation for _, correlation in some)
        print(f"| {kind} | {lowest:.2f} | {len(known)} of {len(some)} | {len(known & found) / len(known):.1%} |")


if __name__ == "__main__":
    main()
