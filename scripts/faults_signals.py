"""Runs that are killed, stopped and interrupted at random moments, finished ones that are replaced, and two at once."""

import os
import shutil
import signal
from pathlib import Path

from faults_ground import RECIPES, Ground, Part, Running, compare, in_turn, refused, results, ser, tidy

CONFIG, FINISHED, WRITING = "config.yaml", "environment.json", "being_written"
NOTES = "the user's own notes\n"


def kills(ground: Ground, count: int) -> Part:
    """End runs with SIGKILL, each up to five times, and resume them."""
    return stopped(ground, count, signal.SIGKILL)


def sigterm(ground: Ground, count: int) -> Part:
    """The same with SIGTERM, as the scheduler of a cluster sends it."""
    return stopped(ground, count, signal.SIGTERM)


def sigint(ground: Ground, count: int) -> Part:
    """The same with Ctrl-C."""
    return stopped(ground, count, signal.SIGINT)


def stopped(ground: Ground, count: int, number: signal.Signals) -> Part:
    """Stop runs of each recipe in turn until `count` signals have met one that was running."""
    part = Part(number.name)

    def run(recipe: str, times: int, sent: int, real: bool) -> int:
        return one_run(ground, part, recipe, number, times, real)

    return in_turn(ground, part, list(RECIPES), count, run)


def one_run(ground: Ground, part: Part, recipe: str, number: signal.Signals, times: int, real: bool) -> int:
    """Stop a run at moments drawn over the time it takes undisturbed, resume it, and compare what it gives."""
    words = RECIPES[recipe]
    expected, seconds = ground.uninterrupted(words, real)
    place, what = ground.place(prepared="root=corpus" not in words), recipe + ", own interpreter" * real
    again: tuple[str, ...] = ()
    finished: dict[Path, int] = {}
    sent = noted = 0
    for _ in range(times):
        moment = ground.random.uniform(0, seconds)
        met = stop(part, Running(place, "train", *words, "output_dir=run", *again, real=real), moment, number, what)
        again = ("resume=true",)
        if not met:
            break
        sent += 1
        part.count(where := phase(place))
        what += f", {number.name} at {moment:.1f} of {seconds:.1f} s ({where})"
        finished = still_there(part, place, finished, what)
        noted += write_notes(place / "run")
    last = ser(place, "train", *words, "output_dir=run", *again)
    tidy(part, last, f"{what}, resumed")
    if part.check(last.code == 0, f"{what}, resumed: status {last.code} ({last.last})"):
        compare(part, expected, results(place / "run"), f"{what}, resumed")
    still_there(part, place, finished, what)
    notes = place / "run" / "notes.md"
    part.check(not noted or (notes.is_file() and notes.read_text() == NOTES), f"{what}: the user's notes are gone")
    shutil.rmtree(place)
    return sent


def stop(part: Part, process: Running, moment: float, number: signal.Signals, what: str) -> bool:
    """Send a signal after so many seconds; whether it met the command while it ran."""
    if process.wait(moment) is not None:
        return False
    os.kill(process.pid, number)
    ended = process.end(60)
    tidy(part, ended, f"{what}, {number.name} at {moment:.1f} s")
    return ended.code != 0


def phase(place: Path) -> str:
    """What a command was at when it ended, as far as its folder tells."""
    run = place / "run"
    configs = [path.parent for path in run.rglob(CONFIG) if "checkpoint" not in path.parent.name]
    if not (place / "data" / "manifest.csv").is_file():
        return "before or in the preparation of data"
    if not configs:
        return "start-up"
    open_runs = [folder for folder in configs if not (folder / FINISHED).is_file()]
    if not open_runs:
        return "pooling or between folds" if len(configs) > 1 else "the end"
    if list(run.rglob(WRITING)):
        return "saving"
    if any((folder / "checkpoint").is_dir() for folder in open_runs):
        return "scoring and reporting"
    return "training" if list(run.rglob("checkpoint-*")) else "building the model"


def still_there(part: Part, place: Path, before: dict[Path, int], what: str) -> dict[Path, int]:
    """The weights of finished runs, which a resumed command leaves as they are."""
    runs = [path.parent for path in (place / "run").rglob(FINISHED)]
    now = {
        weights: weights.stat().st_mtime_ns
        for run in runs
        if (weights := run / "checkpoint" / "model.safetensors").is_file()
    }
    for path, written in before.items():
        part.check(now.get(path) == written, f"{what}: the finished {path.relative_to(place)} was lost or made again")
    return now


def write_notes(run: Path) -> bool:
    """Put a file of the user's beside what a run has begun to write."""
    if not any(run.rglob(CONFIG)):
        return False
    (run / "notes.md").write_text(NOTES)
    return True


def overwrite(ground: Ground, count: int) -> Part:
    """Replace a finished run with overwrite=true and kill that: the old one is whole, or the new one is."""
    part = Part("overwrite=true, SIGKILL")
    for trial in range(count):
        recipe = ("one run", "folds")[trial % 2]
        words = RECIPES[recipe]
        old, _ = ground.uninterrupted(words)
        new, seconds = ground.uninterrupted((*words, "trainer.learning_rate=3e-3"))
        place = ground.place()
        ser(place, "train", *words, "output_dir=run")
        write_notes(place / "run")
        again = ("train", *words, "trainer.learning_rate=3e-3", "output_dir=run", "overwrite=true")
        moment = ground.random.uniform(0, seconds)
        what = f"{recipe}, overwrite=true, SIGKILL at {moment:.1f} of {seconds:.1f} s"
        stop(part, Running(place, *again), moment, signal.SIGKILL, what)
        found = results(place / "run")
        moving = found not in (old, new) and not (place / "run" / FINISHED).is_file()
        if moving:  # while one takes the other's place the folder counts as unfinished, and any command ends the move
            ser(place, "train", *words, "trainer.learning_rate=3e-3", "output_dir=run", "resume=true")
            found = results(place / "run")
        state = "the old run" if found == old else "the new run" if found == new else "of some folds each"
        part.count(state + " is whole" + ", after a move that was cut short" * moving)
        # Several folds are replaced one by one.
        each = recipe == "folds" and all(found.get(name) in (old[name], new[name]) for name in old)
        part.check(found in (old, new) or each, f"{what}: neither run is whole")
        last = ser(place, *again)
        tidy(part, last, f"{what}, again")
        if part.check(last.code == 0, f"{what}, again: status {last.code} ({last.last})"):
            compare(part, new, results(place / "run"), f"{what}, again")
        part.check((place / "run" / "notes.md").is_file(), f"{what}: the user's notes are gone")
        shutil.rmtree(place)
    return part


def together(ground: Ground, count: int) -> Part:
    """Begin two commands at once: a second one on a run folder is refused; one cache of features serves two runs."""
    part = Part("two at once")
    for trial in range(count):
        recipe, flag = ("folds", "one run, trainer=fast")[trial % 2], ("", "resume=true", "overwrite=true")[trial % 3]
        words = RECIPES[recipe]
        expected, _ = ground.uninterrupted(words)
        place = ground.place()
        first = Running(place, "train", *words, "output_dir=run")
        wait_for_config(place, first)
        second = ser(place, "train", *words, "output_dir=run", *filter(None, [flag]))
        running = first.wait(0) is None
        ended = first.end()
        what = f"{recipe}, a second command with {flag or 'no flag'}"
        if running:
            refused(part, second, what)
            part.count(f"one run folder, the second with {flag or 'no flag'}")
        tidy(part, ended, f"{what}, the first")
        if part.check(ended.code == 0, f"{what}, the first: status {ended.code} ({ended.last})") and running:
            compare(part, expected, results(place / "run"), f"{what}, the first")
        shutil.rmtree(place)
        one_cache(ground, part)
    return part


def wait_for_config(place: Path, running: Running) -> None:
    """Return as soon as a run has its folder."""
    while not any((place / "run").rglob(CONFIG)) and running.wait(0.05) is None:
        pass


def one_cache(ground: Ground, part: Part) -> None:
    """Two runs that cache the same features in one data_dir, begun together."""
    words = RECIPES["one run, trainer=fast"]
    expected, _ = ground.uninterrupted(words)
    place = ground.place()
    both = [Running(place, "train", *words, f"output_dir={name}") for name in ("a", "b")]
    part.count("one cache of features")
    for name, running in zip(("a", "b"), both, strict=True):
        ended = running.end()
        tidy(part, ended, "two runs with one cache")
        if part.check(ended.code == 0, f"two runs with one cache: status {ended.code} ({ended.last})"):
            compare(part, expected, results(place / name), "two runs with one cache")
    shutil.rmtree(place)
