"""How fast `ser` fine-tunes, against the plain way (scripts/naive.py), as Markdown and JSON.

    python scripts/benchmark.py --model base --corpus RAVDESS

The sides run in turn, each in a process of its own, on the same clips, with the same number of optimizer steps of 8
clips, the same evaluation and one checkpoint, from the same random weights of the real shape. No hub is needed. Without
`--corpus` it makes clips of its own (48 kHz, as long as RAVDESS's).
"""

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from benchmark_inputs import (
    MEAN_SECONDS,
    SHAPES,
    SMALL_SECONDS,
    clips_of_our_own,
    divided,
    flops_per_step,
    random_checkpoint,
)
from benchmark_report import SIDES, markdown

from ser.acceleration.flops import peak_flops
from ser.runs.environment import describe_environment

OWN_RATE = {"cpu": 48_000, "cuda": 16_000}
"""Of clips that are made here; on a GPU nobody wants to wait for them."""


def main() -> None:
    given = arguments()
    if given.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # of this process too, which has not asked for a GPU yet
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        root = given.corpus or clips_of_our_own(work / "corpus", given.clips, OWN_RATE[given.device], length(given))
        checkpoint = random_checkpoint(work / "checkpoint", given.model)
        lists = divided(root, work, min(given.clips, given.of_clips))
        results: dict[str, list[dict[str, float]]] = {side: [] for side in given.sides}
        for number in range(given.rounds):
            if number and 2 * (time.monotonic() - begun) > given.seconds:
                break
            for side in given.sides:  # in turn, so that what else the machine does hits all of them
                results[side].append(measured(side, root, lists, checkpoint, work / f"{number}-{side}", given))
        report = {
            "model": given.model,
            "steps": given.steps,
            "warm-up": given.warmup,
            "rounds": min(map(len, results.values())),
            "machine": machine(),
            "flops_per_step": flops_per_step(given.model),
            "sides": {side: {"what": SIDES[side][0], "rounds": rounds} for side, rounds in results.items()},
        }
        show(markdown(report), given)
        if given.json:
            given.json.write_text(json.dumps(report, indent=2))
        if given.whole and time.monotonic() - begun < given.seconds:
            show(whole_run(root, checkpoint, work, given), given)


def length(given: argparse.Namespace) -> float:
    """Seconds of the clips that are made here."""
    return SMALL_SECONDS if given.model == "tiny" else MEAN_SECONDS


def show(text: str, given: argparse.Namespace) -> None:
    """Print, and append to the document that was asked for."""
    print(text, flush=True)
    if given.out:
        with given.out.open("a", encoding="utf-8") as file:
            file.write(f"{text}\n\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=SHAPES, default="base")
    parser.add_argument("--corpus", type=Path, help="RAVDESS, or folders and names like it")
    parser.add_argument("--clips", type=int, default=96, help="clips that are made where there is no corpus")
    parser.add_argument("--of-clips", type=int, default=96, help="how many of them are used; a third is evaluated")
    parser.add_argument("--steps", type=int, default=8, help="optimizer steps of 8 clips that are timed")
    parser.add_argument("--warmup", type=int, default=2, help="steps before them, and after an evaluation")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--whole", type=int, default=0, help="also a real run of so many steps, 6 times evaluated")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seconds", type=float, default=math.inf, help="no round begins that would end after them")
    parser.add_argument("--json", type=Path, help="where the numbers go")
    parser.add_argument("--out", type=Path, help="a file that the Markdown is appended to")
    given = parser.parse_args()
    if given.steps % (2 * given.warmup) or given.whole % 6:
        parser.error("--steps must be a multiple of twice --warmup, --whole of 6")
    given.every = given.warmup + given.steps // 2
    given.prepared = dict[str, float]()
    """Seconds that `ser prepare-data` took, by side: once, whatever the rounds."""
    return given


def measured(
    side: str, root: Path, lists: Path, checkpoint: Path, folder: Path, given: argparse.Namespace
) -> dict[str, Any]:
    """One run of one side: seconds of each phase, by what it is counted by.

    Two halves, each of `warmup` steps and half of the timed ones, an evaluation and a checkpoint.
    """
    folder.mkdir()
    if side.startswith("naive"):
        output = folder / "naive.json"
        call(
            str(Path(__file__).with_name("naive.py")), "--root", str(root), "--lists", str(lists),
            "--output", str(output), "--checkpoint", str(checkpoint), "--steps", str(2 * given.every),
            "--every", str(given.every), "--logging", str(given.warmup), *SIDES[side][1],
        )  # fmt: skip
        found = json.loads(output.read_text())
    else:
        found = fast(side, root, lists, checkpoint, folder, given)
    log, evaluated = found["log"], lines(lists / "test.csv")
    return {
        "prepare": found["prepare"] / found["clips"],
        "features": found["phases"].get("features", 0.0) / found["clips"],
        "training": seconds_of_a_step(log),
        "evaluation": [entry["eval_runtime"] for entry in log if "eval_runtime" in entry][-1] / evaluated,
        "checkpoints": found["phases"]["checkpoints"] / 2,
        "memory": found["memory"],
        "loss": statistics.mean(entry["loss"] for entry in log if "loss" in entry),
    }


def seconds_of_a_step(log: list[dict[str, Any]]) -> float:
    """The mean time between two logged losses that no evaluation lies between, a step.

    A loss is read off the device before it is logged: by then everything that was ordered is done.
    """
    pairs = [(one, two) for one, two in pairwise(log) if "loss" in one and "loss" in two]
    steps = sum(two["step"] - one["step"] for one, two in pairs)
    return float(sum(two["seconds"] - one["seconds"] for one, two in pairs) / steps)


def fast(
    side: str, root: Path, lists: Path, checkpoint: Path, folder: Path, given: argparse.Namespace
) -> dict[str, Any]:
    """`ser prepare-data` and `ser train`, as a user calls them."""
    data, run = folder.parent / f"data of {side}", folder / "run"
    custom = ["protocol=custom", f"protocol.folds_csv='{lists / 'folds.csv'}'", "protocol.validation_speakers=0"]
    if data.exists():  # of an earlier round
        shutil.rmtree(data / "features", ignore_errors=True)
    else:
        times = []
        for _ in range(2):  # the second finds everything done: what it takes is the start of a process
            started = time.monotonic()
            call("-m", "ser", "prepare-data", "--root", str(root), f"data_dir='{data}'", *custom)
            times.append(time.monotonic() - started)
        given.prepared[side] = times[0] - times[1]
    train(checkpoint, data, run, given, 2 * given.every, given.every, [*custom, "protocol.fold=1", *SIDES[side][1]])
    used = json.loads((run / "fold1" / "environment.json").read_text())
    return {
        "prepare": given.prepared[side], "phases": used["phases"], "log": log_of(run),
        "memory": used["peak_memory_bytes"], "clips": lines(data / "manifest.csv"),
    }  # fmt: skip


def train(
    checkpoint: Path, data: Path, run: Path, given: argparse.Namespace, steps: int, every: int, further: list[str]
) -> None:
    """`ser train trainer=fast`, evaluated and saved so often."""
    call(
        "-m", "ser", "train", "trainer=fast", f"model={SHAPES[given.model][0]}", f"model.pretrained='{checkpoint}'",
        "tracking=none", f"data_dir='{data}'", f"output_dir='{run}'", f"trainer.max_steps={steps}",
        f"trainer.eval_steps={every}", f"trainer.save_steps={every}",
        f"trainer.logging_steps={min(given.warmup, every)}", *further,
    )  # fmt: skip


def log_of(run: Path) -> list[dict[str, Any]]:
    """The Trainer's own log, from the newest checkpoint of a run."""
    states = run.glob("**/checkpoint-*/trainer_state.json")
    newest = max(states, key=lambda path: int(path.parent.name.split("-")[1]))
    log: list[dict[str, Any]] = json.loads(newest.read_text())["log_history"]
    return log


def whole_run(root: Path, checkpoint: Path, work: Path, given: argparse.Namespace) -> str:
    """The paper's whole run, really run: so many steps, 6 evaluations and 6 checkpoints, on all clips."""
    data, run, started = work / "whole-data", work / "whole", time.monotonic()
    train(checkpoint, data, run, given, given.whole, given.whole // 6, [f"root='{root}'"])
    took = time.monotonic() - started
    used = json.loads((run / "environment.json").read_text())
    phases = {name: seconds for name, seconds in used["phases"].items() if name != "features"}
    spent = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in phases.items())
    share = used["training"].get("share_of_peak")
    of_peak = "" if share is None else f", {share:.1%} of the card's peak"
    features = used["phases"].get("features", 0)
    return (
        f"Really run, `trainer=fast`, {given.whole} steps, 6 evaluations and 6 checkpoints: "
        f"**{sum(phases.values()):.1f} s** ({spent}){of_peak}; before that the frozen CNN over all clips "
        f"{features:.1f} s; the whole process, from its start over decoding to its report, {took:.0f} s; "
        f"peak memory {used['peak_memory_bytes'] / 1e9:.2f} GB."
    )


def lines(path: Path) -> int:
    """Rows of a CSV."""
    return path.read_text(encoding="utf-8").count("\n") - 1


def call(*arguments: str) -> None:
    result = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"{' '.join(arguments)}\n{result.stderr}")


def machine() -> dict[str, Any]:
    """What it ran on, and how many operations a second its matrix product does: the limit."""
    known = describe_environment("benchmark")
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    size = 8192 if kind == "cuda" else 1024
    square = torch.randn(size, size, device=kind, dtype=torch.bfloat16)
    times = []
    for _ in range(6):  # the first one warms up
        synchronize()
        started = time.monotonic()
        square @ square
        synchronize()
        times.append(time.monotonic() - started)
    return {
        **{key: known[key] for key in ("processor", "cores", "threads", "gpu", "system")},
        "packages": {name: known["packages"][name] for name in ("torch", "transformers")},
        "date": time.strftime("%Y-%m-%d"),
        "flops": 2 * size**3 / min(times),
        "peak": peak_flops(known["gpu"][0]) if known["gpu"] else None,
    }


def synchronize() -> None:
    """Wait until a GPU has done all that was ordered: a clock is read only then."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
