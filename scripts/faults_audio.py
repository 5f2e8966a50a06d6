"""A thousand broken audio files: each answered or named, the cut ones never answered as if they were whole."""

import csv
import io
import itertools
import random
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from faults_disks import finished
from faults_ground import Ground, Part, ser, tidy

CONTAINERS = {"wav": "PCM_16", "flac": "PCM_16", "aiff": "PCM_16", "ogg": "VORBIS", "opus": "OPUS", "mp3": None}
LIMIT = 1200
"""Seconds for a thousand files, most of them refused."""


def cut(content: bytes, generator: random.Random) -> bytes:
    """Its beginning: between a tenth and nine tenths."""
    return content[: int(len(content) * generator.uniform(0.1, 0.9))]


def flipped(content: bytes, generator: random.Random) -> bytes:
    """Some bytes anywhere are others."""
    changed = bytearray(content)
    for _ in range(generator.randint(1, 64)):
        changed[generator.randrange(len(changed))] = generator.randrange(256)
    return bytes(changed)


def header(content: bytes, generator: random.Random) -> bytes:
    """Some of the first 64 bytes are others."""
    return flipped(content[:64], generator) + content[64:]


def hole(content: bytes, generator: random.Random) -> bytes:
    """A stretch in the middle is zeros, as after a crash of the file system."""
    begin = generator.randrange(64, len(content) // 2)
    return content[:begin] + bytes(len(content) // 4) + content[begin + len(content) // 4 :]


def missing(content: bytes, generator: random.Random) -> bytes:
    """A stretch in the middle is gone, as after a download that went on in the wrong place."""
    begin = generator.randrange(64, len(content) // 2)
    return content[:begin] + content[begin + len(content) // 4 :]


def noise(content: bytes, generator: random.Random) -> bytes:
    return generator.randbytes(len(content))


def nothing(content: bytes, generator: random.Random) -> bytes:
    return b""


def pointer(content: bytes, generator: random.Random) -> bytes:
    """What git-lfs leaves in place of a file."""
    return b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"


def page(content: bytes, generator: random.Random) -> bytes:
    """What a server sends in place of a file."""
    return b"<!DOCTYPE html><html><body>404 Not Found</body></html>" * generator.randint(1, 50)


def archive(content: bytes, generator: random.Random) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("clip.wav", content)
    return file.getvalue()


BREAKAGE: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    cut, flipped, header, hole, missing, noise, nothing, pointer, page, archive,
)  # fmt: skip
NEVER_ANSWERED = (noise, nothing, pointer, page, archive, cut)


def audio(ground: Ground, count: int) -> Part:
    """Let `ser predict` and `ser prepare-data` meet a folder of broken files beside a sound one."""
    part, place = Part("broken audio"), finished(ground)
    root = place / "broken" / "Actor_01"
    root.mkdir(parents=True)
    how = broken(ground, root, count)
    for breakage in how.values():
        part.count(breakage)
    sound = "03-01-05-01-01-01-24.wav"
    shutil.copy(ground.pristine / "corpus" / "Actor_01" / "03-01-05-01-01-01-01.wav", root / sound)
    ended = ser(place, "predict", "checkpoint=run", "audio=broken", "output=answers.csv", limit=LIMIT)
    tidy(part, ended, "predict")
    answered = of_answers(place / "answers.csv")
    part.check(sound in answered, "predict: the sound recording among them is not answered")
    refused = {name for name in how if name not in answered}
    unnamed = sorted(name for name in refused if name not in ended.output)
    part.check(not unnamed, f"predict: {len(unnamed)} neither answered nor named, such as {unnamed[:3]}")
    silent = [name for name in how if name in answered and name not in ended.output]
    for breakage in NEVER_ANSWERED:
        for suffix in CONTAINERS:
            of_kind = [name for name in silent if how[name] == breakage.__name__ and name.endswith(f".{suffix}")]
            number = sum(how[name] == breakage.__name__ and name.endswith(f".{suffix}") for name in how)
            said = (
                f"predict: {len(of_kind)} of {number} {suffix} files ({breakage.__name__}) are answered without a word"
            )
            part.check(not of_kind, said)
    part.notes.append(
        f"predict answered {len(answered) - 1} of {len(how)} and refused the others, in {ended.seconds:.0f} s"
    )
    prepared_alike(part, place, refused, how)
    shutil.rmtree(place)
    return part


def prepared_alike(part: Part, place: Path, refused: set[str], how: dict[str, str]) -> None:
    """`ser prepare-data` refuses the same files, all at once."""
    words = ("corpus=synthetic", "protocol=paper", "root=broken", "data_dir=other")
    ended = ser(place, "prepare-data", *words, limit=LIMIT)
    tidy(part, ended, "prepare-data")
    part.check(ended.code != 0, "prepare-data: accepts the folder")
    part.check(not (place / "other" / "manifest.csv").exists(), "prepare-data: refused, and leaves a manifest")
    named = set(re.findall(r"\d\d(?:-\d\d){6}\.\w+", ended.output))
    differ = sorted(named.symmetric_difference(refused) & set(how))
    kinds = sorted({f"{how[name]} {name.rsplit('.')[-1]}" for name in differ})
    part.check(not differ, f"prepare-data and predict disagree on {len(differ)} files ({', '.join(kinds)})")


def of_answers(file: Path) -> set[str]:
    """The names of the recordings that were answered."""
    if not file.is_file():
        return set()
    with file.open(newline="", encoding="utf-8") as content:
        rows = list(csv.DictReader(content))
    return {Path(row["path"]).name for row in rows if row.get("emotion") or row.get("prediction")}


def broken(ground: Ground, root: Path, count: int) -> dict[str, str]:
    """Write broken files under names that the corpus has; how each was broken."""
    sources = {suffix: encoded(ground, suffix) for suffix in CONTAINERS}
    codes = list(itertools.product(range(2, 9), (1, 2), (1, 2), (1, 2), range(1, 24)))
    how = {}
    kinds = itertools.cycle(itertools.product(BREAKAGE, CONTAINERS))
    for (breakage, suffix), (emotion, *others) in zip(
        kinds, ground.random.sample(codes, min(count, len(codes))), strict=False
    ):
        name = "-".join(f"{code:02d}" for code in (3, 1, emotion, *others)) + f".{suffix}"
        (root / name).write_bytes(breakage(sources[suffix], ground.random))
        how[name] = breakage.__name__
    return how


def encoded(ground: Ground, suffix: str) -> bytes:
    """A few seconds of the corpus in a container."""
    clips = sorted((ground.pristine / "corpus" / "Actor_02").glob("*.wav"))[:4]
    samples = np.concatenate([soundfile.read(clip, dtype="float32")[0] for clip in clips])
    file = io.BytesIO()
    container = {"opus": "OGG"}.get(suffix, suffix.upper())
    soundfile.write(file, samples, 16_000, format=container, subtype=CONTAINERS[suffix])
    return file.getvalue()
