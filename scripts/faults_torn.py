"""Files that were cut, emptied, changed in one byte or removed: named and made again or refused, never used."""

import itertools
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from faults_ground import RECIPES, Ground, Part, Running, compare, results, ser, tidy


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def flip(path: Path) -> None:
    """Change one bit in the middle, which for weights and samples is a number."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x40
    path.write_bytes(content)


def remove(path: Path) -> None:
    path.unlink()


DAMAGE: dict[str, Callable[[Path], None]] = {"cut": cut, "emptied": empty, "one bit": flip, "removed": remove}
OF_A_CHECKPOINT = (
    "model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json", "config.json",
)  # fmt: skip
UNFINISHED = [*(f"run/checkpoint-*/{name}" for name in OF_A_CHECKPOINT), "run/config.yaml"]
DATA = ["data/audio/*.arrow", "data/audio/index.json", "data/manifest.csv", "data/manifest.arrow", "data/audit.json"]
FEATURES = ["data/features/*/*"]
FOLDS = ["run/fold1/predictions.csv", "run/fold1/classification_report.json", "run/fold1/checkpoint/model.safetensors"]
FINISHED = [
    "run/checkpoint/model.safetensors", "run/checkpoint/config.json", "run/checkpoint/preprocessor_config.json",
    "run/predictions.csv", "run/classification_report.json", "run/environment.json", "run/config.yaml", "run/test.csv",
]  # fmt: skip


def torn(ground: Ground, count: int) -> Part:
    """Damage what lies on the disk between two commands, and see what the second one makes of it."""
    part = Part("torn files")
    cases = [
        *itertools.product(["resume"], UNFINISHED + DATA, DAMAGE),
        *itertools.product(["resume, trainer=fast"], UNFINISHED[:2] + FEATURES, DAMAGE),
        *itertools.product(["pool"], FOLDS, DAMAGE),
        *itertools.product(["evaluate", "compare"], FINISHED, DAMAGE),
    ]
    cases = ground.random.sample(cases, min(count, len(cases)))
    bases = {kind: made(ground, kind) for kind in dict.fromkeys(kind for kind, *_ in cases)}
    for number, (kind, pattern, damage) in enumerate(cases, start=1):
        place = ground.folder / f"torn-{number}"
        shutil.copytree(bases[kind], place, symlinks=True)
        found = sorted(place.glob(pattern), key=lambda path: path.stat().st_mtime_ns)
        if kind.startswith("resume") and "checkpoint" in pattern:
            found = [path for path in found if is_whole(path.parent)]
        if found:
            DAMAGE[damage](found[-1])
            part.count(damage)
            go_on(ground, part, kind, place, found[-1], damage)
        else:
            part.notes.append(f"{kind}: there is no {pattern}")
        shutil.rmtree(place)
        print(f"  {part.name}: {number} of {len(cases)}", flush=True)
    return part


def recipe_of(kind: str) -> tuple[str, ...]:
    return RECIPES["folds" if kind == "pool" else "one run, trainer=fast" if kind.endswith("fast") else "one run"]


def made(ground: Ground, kind: str) -> Path:
    """A place with what a command of this kind goes on from."""
    place, words = ground.place(), recipe_of(kind)
    running = Running(place, "train", *words, "output_dir=run")
    if kind.startswith("resume"):
        while sum(map(is_whole, place.glob("run/checkpoint-*"))) < 2 and running.wait(0.002) is None:
            pass
        assert running.wait(0) is None, "it ended before it was killed"
        os.kill(running.pid, signal.SIGKILL)
    running.end()
    if kind == "pool":
        for path in (place / "run").iterdir():
            if path.is_file():
                path.unlink()
    return place


def is_whole(checkpoint: Path) -> bool:
    return (checkpoint / "trainer_state.json").is_file() and not (checkpoint / "being_written").exists()


def go_on(ground: Ground, part: Part, kind: str, place: Path, file: Path, damage: str) -> None:
    """Give the second command: it refuses in a line, or gives what it gives of whole files."""
    what = f"{kind}: {file.relative_to(place)}, {damage}"
    words = recipe_of(kind)
    expected, _ = ground.uninterrupted(words)
    if kind in ("evaluate", "compare"):
        before = results(place / "run")
        given = ("checkpoint=run", "data_dir=data") if kind == "evaluate" else ("runs=run", "output_dir=comparison")
        ended = ser(place, kind, *given)
        tidy(part, ended, what)
        now = results(place / "run")
        answers = now.pop("evaluation-test/predictions.csv", None)
        now.pop("evaluation-test/classification_report.json", None), now.pop("evaluation-test/environment.json", None)
        compare(part, before, now, f"{what}, the run itself")
        other = ended.code == 0 and answers not in (None, expected["predictions.csv"])
        part.check(not other, f"{what}: accepted, with other numbers")
        return
    ended = ser(place, "train", *words, "output_dir=run", "resume=true")
    tidy(part, ended, what)
    if ended.code == 0:
        # A pooled report reads no weights: those of a fold may stay as damaged as they are.
        spared = str(file.relative_to(place / "run")) if kind == "pool" and file.suffix == ".safetensors" else ""
        both = [{name: it[name] for name in it if name != spared} for it in (expected, results(place / "run"))]
        compare(part, *both, f"{what}, accepted")
