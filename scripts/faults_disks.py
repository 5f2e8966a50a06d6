"""Disks that fill up and folders that cannot be written."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from faults_ground import RECIPES, Ground, Part, Running, compare, refused, results, ser, tidy

SIZE = 96 * 2**20
"""Bytes of the small disk, several times what a run of model=tiny needs."""
NO_MOUNT = "it needs root and mount -t tmpfs, which are not to be had here"


def disk(ground: Ground, count: int) -> Part:
    """Fill the disk of a run at random moments; make room again, resume, and compare."""
    part = Part("a disk that fills")
    if not mounts(ground):
        part.notes.append(f"left out: {NO_MOUNT}")
        return part
    recipes = list(RECIPES)
    for trial in range(count):
        full_while_training(ground, part, recipes[trial % len(recipes)])
        print(f"  {part.name}: {trial + 1} of {count}", flush=True)
    full_for_others(ground, part)
    return part


def full_while_training(ground: Ground, part: Part, recipe: str) -> None:
    words = RECIPES[recipe]
    expected, seconds = ground.uninterrupted(words)
    place, moment, left = ground.place(), ground.random.uniform(0, seconds), ground.random.randrange(0, 4 * 2**20)
    what = f"{recipe}, {left // 1024} kB left after {moment:.1f} of {seconds:.1f} s"
    with small_disk(place / "disk") as mounted:
        if "root=corpus" not in words:
            shutil.copytree(place / "data", mounted / "data")
        again = ("train", *words, "data_dir=disk/data", "output_dir=disk/run")
        running = Running(place, *again)
        if running.wait(moment) is None:
            filler = fill(mounted, left)
            ended = running.end()
            kept = results(mounted / "run")
            filler.unlink()
            part.count("filled while it ran")
            if ended.code != 0:
                part.count("and ended it")
                refused(part, ended, what)
                part.check("space" in ended.last, f"{what}: it does not say that the disk is full ({ended.last})")
            resumed = ser(place, *again, "resume=true")
            tidy(part, resumed, f"{what}, resumed")
            if part.check(resumed.code == 0, f"{what}, resumed: status {resumed.code} ({resumed.last})"):
                found = results(mounted / "run")
                compare(part, expected, found, f"{what}, resumed")
                lost = [name for name in kept if name.endswith("model.safetensors") and name not in found]
                part.check(not lost, f"{what}: lost {', '.join(lost)}")
        else:
            running.end()
    shutil.rmtree(place)


def full_for_others(ground: Ground, part: Part) -> None:
    """The other commands that write, on a disk without a byte left."""
    place, clip = finished(ground), "corpus/Actor_01/03-01-05-01-01-01-01.wav"
    with small_disk(place / "disk") as mounted:
        shutil.copytree(place / "run", mounted / "run")
        before = results(mounted / "run")
        fill(mounted, 0)
        for words in (
            ("prepare-data", "corpus=synthetic", *CLIPS_OF_ROOT, "data_dir=disk/data"),
            ("evaluate", "checkpoint=disk/run", "data_dir=data"),
            ("compare", "runs=disk/run", "output_dir=disk/comparison"),
            ("predict", "checkpoint=run", f"audio={clip}", "output=disk/answers.csv"),
            ("predict", "checkpoint=run", f"audio={clip}", "timeline=disk/pictures", "window=0.5"),
            ("push", "checkpoint=disk/run", "repo=anna/model", "dry_run=true"),
        ):
            ended = ser(place, *words)
            part.count("other commands on a full disk")
            refused(part, ended, f"a full disk, {words[0]}")
            part.check("space" in ended.last, f"a full disk, {words[0]}: it does not say so ({ended.last})")
        compare(part, before, results(mounted / "run"), "a full disk, the run that lies there")
    shutil.rmtree(place)


CLIPS_OF_ROOT = ("protocol=paper", "protocol.test_fraction=0.25", "root=corpus")


def readonly(ground: Ground, count: int) -> Part:
    """Give each command a folder that cannot be written: reading it works, writing is refused in a line."""
    part = Part("a read-only folder")
    words, fast, place = RECIPES["one run"], RECIPES["one run, trainer=fast"], finished(ground)
    clip = "corpus/Actor_01/03-01-05-01-01-01-01.wav"
    with read_only(ground, place / "disk", place) as folder:
        if folder is None:
            part.notes.append(f"left out: {NO_MOUNT}")
            return part
        before = results(folder / "run")
        for command in (
            ("train", *words, "output_dir=disk/new"),
            ("train", *words, "output_dir=disk/run", "overwrite=true", "trainer.learning_rate=3e-3"),
            ("train", *words, "output_dir=disk/half", "resume=true"),
            ("train", *words, "root=corpus", "data_dir=disk/new", "output_dir=a"),
            ("prepare-data", "corpus=synthetic", *CLIPS_OF_ROOT, "data_dir=disk/new"),
            ("evaluate", "checkpoint=disk/run", "data_dir=data"),
            ("compare", "runs=disk/run", "output_dir=disk/comparison"),
            ("predict", "checkpoint=run", f"audio={clip}", "output=disk/answers.csv"),
            ("predict", "checkpoint=run", f"audio={clip}", "timeline=disk/pictures", "window=0.5"),
            ("push", "checkpoint=disk/run", "repo=anna/model", "dry_run=true"),
        )[:count]:
            part.count("writing")
            refused(part, ser(place, *command), f"read-only, {command[0]} {command[-1]}")
        compare(part, before, results(folder / "run"), "read-only, the run that lies there")
        for recipe, name in ((words, "plain"), (fast, "fast")):
            ended = ser(place, "train", *recipe, "data_dir=disk/data", f"output_dir={name}")
            part.count("reading")
            if name == "fast" and ended.code != 0:  # which keeps its features there
                refused(part, ended, f"read-only data_dir, {name}")
                part.notes.append(f"trainer=fast with a read-only data_dir: {ended.last}")
            elif part.check(ended.code == 0, f"read-only data_dir, {name}: status {ended.code} ({ended.last})"):
                compare(part, ground.uninterrupted(recipe)[0], results(place / name), f"read-only data_dir, {name}")
        ended = ser(place, "predict", "checkpoint=disk/run", f"audio={clip}")
        part.count("reading")
        part.check(ended.code == 0, f"read-only checkpoint, predict: status {ended.code} ({ended.last})")
    shutil.rmtree(place)
    return part


def finished(ground: Ground) -> Path:
    """A place with a finished run (`run`)."""
    place = ground.place()
    ended = ser(place, "train", *RECIPES["one run"], "output_dir=run")
    assert ended.code == 0, ended.output
    return place


def mounts(ground: Ground) -> bool:
    if os.geteuid():
        return False
    probe = ground.folder / "probe"
    probe.mkdir(exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", probe], capture_output=True).returncode:
        return False
    subprocess.run(["umount", probe], check=True)
    return True


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own, in memory."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def read_only(ground: Ground, folder: Path, place: Path) -> Iterator[Path | None]:
    """Copy a place's run and data to where nothing can be written: root is held back by a mount, not by permissions."""
    as_root = not os.geteuid()
    if as_root and not mounts(ground):
        yield None
        return
    with small_disk(folder) if as_root else made(folder):
        for name in ("run", "data"):
            shutil.copytree(place / name, folder / name)
        unfinished(folder / "run", folder / "half")
        if as_root:
            subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        else:
            subprocess.run(["chmod", "-R", "a-w", folder], check=True)
        try:
            yield folder
        finally:
            if not as_root:
                subprocess.run(["chmod", "-R", "u+w", folder], check=True)


@contextmanager
def made(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    yield folder


def unfinished(run: Path, half: Path) -> None:
    """A copy of a finished run without its end."""
    shutil.copytree(run, half)
    (half / "environment.json").unlink()
    shutil.rmtree(half / "checkpoint")


def fill(folder: Path, left: int) -> Path:
    """Fill a disk but for so many bytes."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(2**16))
        except OSError:
            file.truncate(max(0, file.tell() - left))
    return filler
