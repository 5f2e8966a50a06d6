"""Runs that a scheduler preempts again and again, with one command: `ser train ... resume=auto`."""

import os
import shutil
import signal
from functools import partial
from pathlib import Path

from faults_ground import CLIPS, COMMON, PROTOCOL, Ended, Ground, Part, Running, compare, in_turn, results, ser, tidy
from faults_signals import phase

from ser.ending import GIVE_AGAIN, INTERRUPTED, SIGNALS
from ser.training import checkpoint_folders

STEPS = (
    "trainer.max_steps=22", "trainer.num_train_epochs=9", "trainer.eval_steps=5", "trainer.save_steps=5",
    "trainer.logging_steps=5", "trainer.early_stopping_patience=3",
)  # fmt: skip
MASKED = (
    "model.encoder_config.apply_spec_augment=true", "model.encoder_config.mask_time_prob=0.3",
    "+model.encoder_config.mask_time_length=2", "model.encoder_config.layerdrop=0.3",
)  # fmt: skip
RECIPES = {
    "trainer=paper": (*COMMON, "trainer=paper", *STEPS, *MASKED, *CLIPS),
    "trainer=fast": (*COMMON, "trainer=fast", "model.freeze=cnn", *STEPS, *MASKED, *CLIPS),
    "by epoch, balanced, in buckets": (
        *COMMON, "trainer=laptop", "trainer.num_train_epochs=4", "trainer.balanced_sampling=true",
        "trainer.bucket_by_length=true", *MASKED, *CLIPS,
    ),
    "folds and seeds": (*COMMON, "trainer=fast", "model.freeze=cnn", *STEPS, *PROTOCOL, "seeds=[0,1]"),
}  # fmt: skip
"""Checkpoints between two of the regular ones go on in the middle of an epoch and of an interval of the log."""
STARTS = 2.0
"""Seconds that an interpreter may take until it runs the first line of `ser`, on a machine that does other things."""


def preemption(ground: Ground, count: int) -> Part:
    """Send SIGTERM, SIGINT and SIGUSR1 in turn, each run up to five of them, and give the same command again."""
    part = Part("preempted, resume=auto")
    return in_turn(ground, part, list(RECIPES), count, partial(one_run, ground, part))


def one_run(ground: Ground, part: Part, recipe: str, times: int, first: int, real: bool) -> int:
    """Preempt a run at moments drawn over the time it takes undisturbed, and compare what it gives in the end."""
    words = RECIPES[recipe]
    expected, seconds = ground.uninterrupted(words, real)
    place, what, met = ground.place(), recipe + ", own interpreter" * real, 0
    command = ("train", *words, "output_dir=run", "resume=auto")
    for turn in range(times):
        number, moment = SIGNALS[(first + turn) % len(SIGNALS)], ground.random.uniform(0, seconds)
        process = Running(place, *command, real=real)
        if process.wait(moment) is not None:
            break
        os.kill(process.pid, number)
        ended = process.end(60)
        met += 1
        part.count(f"{number.name}, {phase(place)}")
        what += f", {number.name} at {moment:.1f} of {seconds:.1f} s ({phase(place)})"
        check_end(part, ended, number, place, what)
    last = ser(place, *command)
    tidy(part, last, f"{what}, again")
    if part.check(last.code == 0, f"{what}, again: status {last.code} ({last.last})"):
        compare(part, expected, results(place / "run"), f"{what}, again")
    shutil.rmtree(place)
    return met


def check_end(part: Part, ended: Ended, number: signal.Signals, place: Path, what: str) -> None:
    """Check status, line and checkpoints of a command that a signal has met."""
    if ended.code == -number and ended.seconds < STARTS:
        part.notes.append(f"{number.name} before the interpreter came to `ser`: the status is Python's own")
        return
    tidy(part, ended, what)
    status = INTERRUPTED if number is signal.SIGINT else GIVE_AGAIN
    part.check(ended.code in (0, status), f"{what}: status {ended.code} ({ended.last})")
    lines = [line for line in ended.output.splitlines() if line.startswith("ser: ")]
    done = any(line.endswith("report.html") for line in ended.output.splitlines())  # it met the end of the process
    part.check(len(lines) == 1 or (not lines and done), f"{what}: {len(lines)} lines ({' / '.join(lines)})")
    for checkpoint in (place / "run").rglob("checkpoint-*"):
        whole = checkpoint_folders.read_state(checkpoint) and checkpoint_folders.find_fault(checkpoint) is None
        part.check(bool(whole), f"{what}: {checkpoint.relative_to(place)} is not whole")
