"""Make a corpus of any number of rows from the clips of a real one, for measurements of time and memory.

    python scripts/large_corpus.py --root RAVDESS --rows 100000 --out large
    ser prepare-data corpus=table corpus.table=large/corpus.csv data_dir=large/data protocol=random

Each row is a file of its own: a second of the speech of a clip, played at one of many speeds, so that no two rows are
the same recording to the search for copies (which looks for none at another speed). A share of the rows are planted
copies, as hard links or changed, under other names; `copies.csv` lists them with their originals.

With --brief the rows are 30 ms of noise each, named as parts of a few files (`#t=START,END`): 10^6 of them take 250 MB.
"""

import argparse
import csv
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from ser.config import Corpus
from ser.corpora.scanning import scan
from ser.data.audio import SAMPLE_RATE, load
from ser.data.audio_file import Int16
from ser.data.parallel import in_threads
from ser.data.silence import speech_span

SECONDS = 1.0
"""Of a row, at the speed of its clip."""
SPEEDS = np.sort(0.5 * 1.015 ** np.arange(94))  # 0.5 to 2
SPEEDS = SPEEDS[np.argsort(np.abs(np.log(SPEEDS)))]  # the most natural ones first
PARTS = 2
"""Rows of a clip at one speed."""
FOLDERS = 1000
"""Rows in a folder."""

BRIEF_RATE, BRIEF_SECONDS, BRIEF_ROWS = 8000, 0.03, 30_000
EMOTIONS = ("angry", "happy", "neutral", "sad")


class Clip(NamedTuple):
    """A real recording: the rows that it can give, and whose they are."""

    parts: list[Int16]
    emotion: str
    speaker: str


class Copy(NamedTuple):
    """A way to store a recording a second time."""

    name: str
    suffix: str
    change: Callable[[Int16], Int16]


COPIES = (
    Copy("link", ".wav", lambda samples: samples),
    Copy("gain of -12 dB", ".wav", lambda samples: (samples / 4).astype(np.int16)),
    Copy("inverted", ".flac", lambda samples: -np.maximum(samples, -32767)),
    Copy("50 ms cut", ".wav", lambda samples: samples[SAMPLE_RATE // 20 :]),
    Copy("OGG", ".ogg", lambda samples: samples),
)


def read_clips(root: Path, corpus: str) -> list[Clip]:
    """Return the recordings of a corpus in which there is enough speech."""
    recordings = scan(root, Corpus(corpus)).recordings
    clips, length = list[Clip](), int(SECONDS * SAMPLE_RATE)
    decoded = in_threads(lambda recording: load(root / recording.file, recording.span).samples, recordings)
    for recording, samples in zip(recordings, decoded, strict=True):
        start, end = speech_span(samples)
        # The middle of each half of the speech, so that the parts share nothing.
        middles = [start + (end - start) * (2 * part + 1) // (2 * PARTS) for part in range(PARTS)]
        if end - start >= PARTS * length:
            parts = [samples[middle - length // 2 : middle + length // 2].copy() for middle in middles]
            clips.append(Clip(parts, recording.emotion, recording.speaker))
    return clips


def write_speech(clips: list[Clip], rows: int, copies: float, out: Path) -> None:
    """Write the files, `corpus.csv` and `copies.csv`."""
    planted = int(rows * copies)
    originals = rows - planted
    most = len(clips) * PARTS * len(SPEEDS)
    if originals > most:
        raise SystemExit(f"--rows {rows}: {len(clips)} clips with enough speech give at most {most} recordings")
    for folder in range(-(-rows // FOLDERS)):
        (out / "recordings" / f"{folder:04}").mkdir(parents=True)
    table = list(in_threads(lambda row: write_row(clips, row, out), range(originals)))
    chosen = np.random.default_rng(0).choice(originals, planted, replace=False).tolist()
    pairs = list(
        in_threads(
            lambda at: write_copy(clips, chosen[at], originals + at, out, COPIES[at % len(COPIES)]), range(planted)
        )
    )
    table += [[path, *table[original][1:]] for original, (path, _, _) in zip(chosen, pairs, strict=True)]
    write_table(out / "corpus.csv", ("path", "emotion", "speaker"), iter(table))
    write_table(out / "copies.csv", ("path", "original", "change"), iter(pairs))


def find_source(clips: list[Clip], row: int) -> tuple[Clip, Int16, float]:
    """Return the clip of a row, its samples, and their speed."""
    clip, part, number = clips[row % len(clips)], row // len(clips) % PARTS, row // (len(clips) * PARTS)
    # The rate is that of the file alone. Other samples too: the audit calls equal ones identical, whatever their rate.
    return clip, clip.parts[part][number:], float(SPEEDS[number])


def name(row: int, suffix: str = ".wav") -> str:
    return f"recordings/{row // FOLDERS:04}/{row:07}{suffix}"


def write_row(clips: list[Clip], row: int, out: Path) -> list[str]:
    """Write the file of a row; return its line of the table. Another speed is another speaker."""
    clip, samples, speed = find_source(clips, row)
    soundfile.write(out / name(row), samples, round(SAMPLE_RATE * speed))
    return [name(row), clip.emotion, f"{clip.speaker}x{speed:.2f}"]


def write_copy(clips: list[Clip], original: int, row: int, out: Path, copy: Copy) -> list[str]:
    """Write a second file with the recording of a row; return its line of `copies.csv`."""
    path = out / name(row, copy.suffix)
    if copy.name == "link":
        os.link(out / name(original), path)
    else:
        _, samples, speed = find_source(clips, original)
        soundfile.write(path, copy.change(samples), round(SAMPLE_RATE * speed))
    return [name(row, copy.suffix), name(original), copy.name]


def write_brief(rows: int, out: Path) -> None:
    """Write files of noise, and a table of their parts."""
    chance = np.random.default_rng(0)
    (out / "recordings").mkdir(parents=True)
    for file in range(-(-rows // BRIEF_ROWS)):
        noise = chance.integers(-8000, 8000, int(BRIEF_RATE * BRIEF_SECONDS * BRIEF_ROWS), dtype=np.int16)
        soundfile.write(out / "recordings" / f"{file:04}.wav", noise, BRIEF_RATE, subtype="PCM_U8")
    write_table(out / "corpus.csv", ("path", "start", "end", "emotion", "speaker"), brief_rows(rows))


def brief_rows(rows: int) -> Iterator[list[str]]:
    for row in range(rows):
        file, part = divmod(row, BRIEF_ROWS)
        times = f"{part * BRIEF_SECONDS:.2f}", f"{(part + 1) * BRIEF_SECONDS:.2f}"
        yield [f"recordings/{file:04}.wav", *times, EMOTIONS[row % len(EMOTIONS)], f"s{row // 500}"]


def write_table(path: Path, header: tuple[str, ...], rows: Iterator[list[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True, help="a folder that is not there yet")
    parser.add_argument("--root", type=Path, help="the folder of the real corpus")
    parser.add_argument("--corpus", default="ravdess", help="its name")
    parser.add_argument("--copies", type=float, default=0.01, help="the share of planted copies")
    parser.add_argument("--brief", action="store_true", help="rows of 30 ms of noise, without files of their own")
    given = parser.parse_args()
    if given.rows < 1 or not 0 <= given.copies <= 0.5 or given.out.exists() or (given.root is None) != given.brief:
        parser.error("give --rows above 0, a new folder as --out, --copies up to 0.5, and --root or --brief")
    if given.brief:
        write_brief(given.rows, given.out)
    else:
        write_speech(read_clips(given.root, given.corpus), given.rows, given.copies, given.out)
    print(given.out / "corpus.csv")


if __name__ == "__main__":
    main()
