"""What every part of scripts/faults.py stands on: a small corpus, the `ser` command, what a run must give, a ledger."""

import csv
import hashlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

import soundfile

from ser.corpora.synthetic import EMOTIONS, SAMPLE_RATE, waveform

HANGS = 240
"""Seconds after which a command that should end within 15 hangs, on a machine that does other things."""
OFFLINE = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "WANDB_MODE": "offline", "HYDRA_FULL_ERROR": "0"}
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["ser.cli", "ser.experiments.train", "ser.commands.prepare_data", "ser.commands.predict"])
os.environ.update(OFFLINE)  # for the libraries that the server imports
PROTOCOL = ("protocol=custom", "+protocol.test_speakers={1: [1], 2: [2]}", "protocol.validation_speakers=1")
CLIPS = ("protocol=paper", "protocol.test_fraction=0.25")
COMMON = ("corpus=synthetic", "model=tiny", "tracking=none", "trainer.precision=fp32", "data_dir=data")
SCRATCH = ("trainer=scratch", "trainer.num_train_epochs=3", "trainer.per_device_train_batch_size=8")
OFTEN = ("trainer.eval_steps=1", "trainer.save_steps=1", "trainer.logging_steps=1", "trainer.max_steps=6")
FAST = ("trainer=fast", "model.freeze=cnn", *OFTEN, "trainer.early_stopping_patience=2")

RECIPES: dict[str, tuple[str, ...]] = {
    "one run": (*COMMON, *SCRATCH, *CLIPS),
    "one run, trainer=fast": (*COMMON, *FAST, *CLIPS),
    "folds": (*COMMON, *SCRATCH, *PROTOCOL),
    "folds and seeds, trainer=fast": (*COMMON, *FAST, *PROTOCOL, "seeds=[0,1]"),
    "one run, from root=": (*COMMON, *SCRATCH, *CLIPS, "root=corpus"),
}
"""Runs of a few seconds, with and without trainer=fast, folds, seeds and data that are prepared."""


@dataclass
class Part:
    """What was tried in a part, and everything that went wrong."""

    name: str
    tried: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def count(self, what: str, number: int = 1) -> None:
        self.tried[what] = self.tried.get(what, 0) + number

    def check(self, holds: bool, violation: str) -> bool:
        """Note a violation unless something holds; the same one is listed once, with how often."""
        if not holds:
            self.violations.append(violation)
            print(f"  VIOLATION {self.name}: {violation}", flush=True)
        return holds


@dataclass
class Ended:
    """A command that has ended, or was ended because it hung."""

    code: int
    output: str
    seconds: float
    hung: bool

    @property
    def last(self) -> str:
        """Its last line, cut to what a table can hold."""
        lines = [line for line in self.output.splitlines() if line.strip()]
        return lines[-1][:300] if lines else "(no output)"


class Running:
    """`ser` in a process group of its own, whose output goes to a file.

    It is forked from a process that has the libraries imported, so that a moment drawn at random falls where something
    is done; with `real` the interpreter starts afresh.
    """

    def __init__(self, folder: Path, *words: str, real: bool = False, env: dict[str, str] | None = None) -> None:
        self.log = folder / f"output-{time.monotonic_ns()}.txt"
        self.begun = time.monotonic()
        settings = {**OFFLINE, **(env or {})}
        self.process = started(folder, words, settings, self.log) if real else forked(folder, words, settings, self.log)
        self.pid: int = self.process.pid or 0

    def wait(self, seconds: float) -> int | None:
        """Its status, or None where it still runs after so many seconds."""
        if isinstance(self.process, subprocess.Popen):
            try:
                return self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                return None
        self.process.join(seconds)
        return self.process.exitcode

    def end(self, limit: float = HANGS) -> Ended:
        """Wait until it ends; kill it where it does not."""
        hung = self.wait(limit) is None
        # The group: what it started (the service of wandb) goes with it.
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        code = self.wait(HANGS)
        seconds = time.monotonic() - self.begun
        return Ended(-9 if code is None else code, self.log.read_text(errors="backslashreplace"), seconds, hung)


def started(folder: Path, words: tuple[str, ...], env: dict[str, str], log: Path) -> "subprocess.Popen[bytes]":
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "ser", *words], cwd=folder, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True, env={**os.environ, **env}, preexec_fn=heed_ctrl_c,
        )  # fmt: skip


def heed_ctrl_c() -> None:
    # A shell starts its background jobs with SIGINT ignored, which Python would inherit.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def forked(folder: Path, words: tuple[str, ...], env: dict[str, str], log: Path) -> BaseProcess:
    process = FORKS.Process(target=command, args=(folder, words, env, log))
    process.start()
    while process.is_alive() and not log.is_file():  # until then a signal would meet no command yet
        time.sleep(0.002)
    return process


def command(folder: Path, words: tuple[str, ...], env: dict[str, str], log: Path) -> None:
    """What a forked process does: what `ser` does."""
    from ser.cli import main

    os.setsid()
    os.chdir(folder)
    os.environ.update(env)
    os.environ["PWD"] = str(folder)
    heed_ctrl_c()
    for descriptor, name, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, log, os.O_CREAT | os.O_WRONLY),
        (2, log, os.O_RDWR),
    ):
        opened = os.open(name, flags | (os.O_APPEND if descriptor else 0), 0o644)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.argv = ["ser", *words]
    main()


def ser(
    folder: Path, *words: str, limit: float = HANGS, real: bool = False, env: dict[str, str] | None = None
) -> Ended:
    return Running(folder, *words, real=real, env=env).end(limit)


DEFECT = "this is a defect of ser"
"""What the command line says in place of a traceback, where an error is not the user's."""


def tidy(part: Part, ended: Ended, what: str) -> None:
    """Note a command that does not end in time, or ends with a traceback or what stands for one."""
    part.check(not ended.hung, f"{what}: it hangs ({ended.last})")
    part.check("Traceback (most recent call last)" not in ended.output, f"{what}: traceback ({ended.last})")
    part.check(DEFECT not in ended.output, f"{what}: {ended.last}")
    said = ended.last.removeprefix("ser:").strip()
    part.check(ended.code <= 0 or said not in ("", "(no output)"), f"{what}: status {ended.code} without a word")


def refused(part: Part, ended: Ended, what: str) -> None:
    """Whether a command said in a line why it does not do what it cannot do."""
    tidy(part, ended, what)
    part.check(ended.code != 0, f"{what}: accepted ({ended.last})")


def results(folder: Path) -> dict[str, str]:
    """What must be the same of two finished runs: weights, predictions, metrics and history, each by its SHA-256."""
    names = (
        "checkpoint/model.safetensors", "predictions.csv", "classification_report.json", "history.csv",
        "environment.json",
    )  # fmt: skip
    found = {}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_file() and str(inside).endswith(names) and not any(part.startswith(".") for part in inside.parts):
            found[str(inside)] = content_of(path)
    return found


def content_of(path: Path) -> str:
    """The SHA-256 of what a file says, without the times it tells."""
    if path.name == "environment.json":
        return "there"  # the last file of a run: versions, machine and times
    content = path.read_bytes()
    if path.name == "history.csv":
        rows = csv.DictReader(content.decode(errors="replace").splitlines())
        content = repr([{**row, "seconds": ""} for row in rows]).encode()
    if path.suffix == ".json":
        with suppress(ValueError):  # a torn one counts as it is
            report = json.loads(content)
            for run in (report.get("spread") or {"runs": ()})["runs"]:
                run.pop("seconds")
            content = json.dumps(report).encode()
    return hashlib.sha256(content).hexdigest()


def compare(part: Part, expected: dict[str, str], found: dict[str, str], what: str) -> None:
    """Note what a finished run gives other than it must."""
    differ = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    part.check(not differ, f"{what}: other than uninterrupted: {', '.join(differ)}")


class Ground:
    """A temporary folder with a corpus of 64 clips, prepared, and what uninterrupted runs give."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.random = folder, random.Random(seed)
        self.seed, self.number = seed, 0
        self.expected: dict[tuple[tuple[str, ...], bool], tuple[dict[str, str], float]] = {}
        self.pristine = folder / "pristine"
        write_corpus(self.pristine / "corpus")
        ended = ser(self.pristine, "prepare-data", "corpus=synthetic", *CLIPS, "--root", "corpus", "data_dir=data")
        assert ended.code == 0, ended.output

    def place(self, prepared: bool = True) -> Path:
        """A folder of a trial's own: the corpus, linked, and prepared data, copied."""
        self.number += 1
        folder = self.folder / f"trial-{self.number}"
        folder.mkdir()
        (folder / "corpus").symlink_to(self.pristine / "corpus")
        if prepared:
            shutil.copytree(self.pristine / "data", folder / "data")
        return folder

    def uninterrupted(self, words: tuple[str, ...], real: bool = False) -> tuple[dict[str, str], float]:
        """The results of a run that nothing disturbs, and the seconds it takes."""
        if (words, real) not in self.expected:
            place = self.place(prepared="root=corpus" not in words)
            ended = ser(place, "train", *words, "output_dir=run", real=real)
            assert ended.code == 0, ended.output
            self.expected[words, real] = results(place / "run"), ended.seconds
            shutil.rmtree(place)
        return self.expected[words, real]


def in_turn(ground: Ground, part: Part, recipes: Sequence[str], count: int, run: Callable[..., int]) -> Part:
    """Stop runs of each recipe in turn until `count` signals have met one that was running.

    Args:
        ground: The folder and the random numbers.
        part: What is counted.
        recipes: The recipes.
        count: The number of signals.
        run: Takes a recipe, the signals to send at most, those that were sent before, and whether the run has an
            interpreter of its own, whose start takes as long as the run; returns how many met it.
    """
    sent, trial = 0, 0
    while sent < count:
        times = min(count - sent, ground.random.choice((1, 2, 3, 5)))
        sent += run(recipes[trial % len(recipes)], times, sent, trial % 8 == 7)
        trial += 1
        print(f"  {part.name}: {sent} of {count}", flush=True)
    return part


def write_corpus(root: Path, actors: tuple[str, ...] = ("01", "02", "03", "04")) -> None:
    """Clips of the synthetic corpus: each actor, emotion and statement once."""
    for actor in actors:
        (root / f"Actor_{actor}").mkdir(parents=True, exist_ok=True)
        for number in range(1, len(EMOTIONS) + 1):
            for statement in ("01", "02"):
                codes = (f"{number:02d}", "01", statement, "01", actor)
                path = root / f"Actor_{actor}" / f"03-01-{'-'.join(codes)}.wav"
                soundfile.write(path, waveform(*codes), SAMPLE_RATE, subtype="PCM_16")
