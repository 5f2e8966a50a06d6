"""How fast `ser` fine-tunes, against the plain way (scripts/naive.py), as Markdown and JSON.

    python scripts/benchmark.py --model base --corpus RAVDESS

Both sides run in turn, each in a process of its own, on the same clips, with the same number of optimizer steps of 8
clips, the same evaluation and one checkpoint, from the same random weights of the real shape. No hub is needed. Without
`--corpus` it makes clips of its own (48 kHz, as long as RAVDESS's).
"""

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from benchmark_inputs import SHAPES, clips_of_our_own, divided, flops_per_step, random_checkpoint

from ser.results.environment import environment

SIDES: dict[str, tuple[str, list[str]]] = {
    "naive": ("eager float32 (float16 on a GPU), batches of 4, random order, padded, nothing cached", []),
    "fast": (
        "bf16; batches of 8 of like length; the frozen CNN computed once, which is the same for large and 1b, and for "
        "base (group norm) means that clips are heard without padding",
        [],
    ),
    "fast, trimmed": ("other input: silence at both ends is cut", ["audio.trim=true"]),
}
"""What each side does, and what is added to `ser train trainer=fast`."""
PHASES = {"prepare": "clip", "features": "clip", "training": "step", "evaluation": "clip", "checkpoints": "checkpoint"}
"""Each phase of a run, and what its time is counted by."""
PAPER = {"prepare": 1440, "features": 1440, "training": 600, "evaluation": 6 * 288, "checkpoints": 6}
"""How often that is in HuBERT-large's run of the paper: 600 steps, 6 evaluations and checkpoints."""


def main() -> None:
    given = arguments()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        root = given.corpus or clips_of_our_own(work / "corpus", given.clips)
        checkpoint = random_checkpoint(work / "checkpoint", given.model)
        lists = divided(root, work, given.clips)
        results: dict[str, list[dict[str, float]]] = {side: [] for side in given.sides}
        for number in range(given.rounds):
            for side in given.sides:  # in turn, so that what else the machine does hits all of them
                results[side].append(measured(side, root, lists, checkpoint, work / f"{number}-{side}", given))
    report = {
        "model": given.model,
        "steps": given.steps,
        "rounds": given.rounds,
        "machine": machine(),
        "flops_per_step": flops_per_step(given.model),
        "sides": {side: {"what": SIDES[side][0], "rounds": rounds} for side, rounds in results.items()},
    }
    print(markdown(report))
    if given.json:
        given.json.write_text(json.dumps(report, indent=2))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=SHAPES, default="base")
    parser.add_argument("--corpus", type=Path, help="RAVDESS, or folders and names like it")
    parser.add_argument("--clips", type=int, default=96, help="how many of its clips are used; a third is evaluated")
    parser.add_argument("--steps", type=int, default=6, help="optimizer steps of 8 clips")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--json", type=Path, help="where the numbers go")
    return parser.parse_args()


def measured(
    side: str, root: Path, lists: Path, checkpoint: Path, folder: Path, given: argparse.Namespace
) -> dict[str, Any]:
    """One run of one side: seconds of each phase, by what it is counted by."""
    folder.mkdir()
    steps = given.steps
    if side == "naive":
        output = folder / "naive.json"
        call(
            str(Path(__file__).with_name("naive.py")), "--root", str(root), "--lists", str(lists),
            "--output", str(output), "--checkpoint", str(checkpoint), "--steps", str(steps),
        )  # fmt: skip
        found = json.loads(output.read_text())
    else:
        found = fast(side, root, lists, checkpoint, folder, given)
    return {
        "prepare": found["prepare"] / found["clips"],
        "features": found.get("features", 0.0) / found["clips"],
        "training": (found["training"] + found["data"]) / steps,
        "evaluation": found["evaluation"] / found["evaluated"],
        "checkpoints": found["checkpoints"],
        "memory": found["memory"],
        "loss": statistics.mean(found["losses"]),
    }


def fast(
    side: str, root: Path, lists: Path, checkpoint: Path, folder: Path, given: argparse.Namespace
) -> dict[str, Any]:
    """`ser prepare-data` and `ser train`, as a user calls them."""
    data, run = folder / "data", folder / "run"
    custom = ["protocol=custom", f"protocol.folds_csv='{lists / 'folds.csv'}'", "protocol.validation_speakers=0"]
    times = []
    for _ in range(2):  # the second finds everything done: what it takes is the start of a process
        started = time.monotonic()
        call("-m", "ser", "prepare-data", "--root", str(root), f"data_dir='{data}'", *custom)
        times.append(time.monotonic() - started)
    every = [f"trainer.{name}={given.steps}" for name in ("max_steps", "eval_steps", "save_steps")]
    call(
        "-m", "ser", "train", "trainer=fast", f"model={SHAPES[given.model][0]}",
        f"model.pretrained='{checkpoint}'", "tracking=none", f"data_dir='{data}'", f"output_dir='{run}'", *custom,
        "protocol.fold=1", "trainer.logging_steps=1", *every, *SIDES[side][1],
    )  # fmt: skip
    used = json.loads((run / "fold1" / "environment.json").read_text())
    with (run / "fold1" / "history.csv").open(newline="") as file:
        losses = [float(row["train_loss"]) for row in csv.DictReader(file) if row["train_loss"]]
    return {
        "prepare": times[0] - times[1], **used["phases"], "losses": losses, "memory": used["peak_memory_bytes"],
        "clips": lines(data / "manifest.csv"), "evaluated": lines(lists / "test.csv"),
    }  # fmt: skip


def lines(path: Path) -> int:
    """Rows of a CSV."""
    return path.read_text(encoding="utf-8").count("\n") - 1


def call(*arguments: str) -> None:
    result = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"{' '.join(arguments)}\n{result.stderr}")


def machine() -> dict[str, Any]:
    """What it ran on, and how many operations a second its matrix product does: the limit."""
    known = environment("benchmark")
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    square = torch.randn(2048, 2048, device=kind, dtype=torch.bfloat16)
    square @ square
    times = []
    for _ in range(5):
        started = time.monotonic()
        product = square @ square
        float(product[0, 0])  # waits for a GPU
        times.append(time.monotonic() - started)
    return {
        **{key: known[key] for key in ("processor", "cores", "threads", "gpu", "system")},
        "packages": {name: known["packages"][name] for name in ("torch", "transformers")},
        "date": time.strftime("%Y-%m-%d"),
        "flops": 2 * 2048**3 / min(times),
    }


def markdown(report: dict[str, Any]) -> str:
    """A table of seconds and ratios by phase, and what each side does."""
    sides = {side: average(entry["rounds"]) for side, entry in report["sides"].items()}
    plain = next(iter(sides.values()))
    where = report["machine"]
    device = ", ".join(where["gpu"]) or f"{where['processor']}, {where['threads']} threads"
    parts = [
        f"{report['model']}, {report['steps']} steps, {report['rounds']} rounds, mean; {device}, torch "
        f"{where['packages']['torch']}, {where['date']}. First column against the others.",
        "",
        "| | " + " | ".join(sides) + " |",
        "|---|" + "---|" * len(sides),
    ]
    for phase, unit in PHASES.items():
        cells = [f"{values[phase]:.3g} s{ratio(plain[phase], values[phase])}" for values in sides.values()]
        parts.append(f"| {phase}, a {unit} | " + " | ".join(cells) + " |")
    whole = {side: sum(PAPER[phase] * values[phase] for phase in PHASES) for side, values in sides.items()}
    first = next(iter(whole.values()))
    cells = [f"{seconds:.0f} s{ratio(first, seconds)}" for seconds in whole.values()]
    parts.append(
        "| 1440 clips, 600 steps, 6 evaluations of 288, 6 checkpoints (computed) | " + " | ".join(cells) + " |"
    )
    whole_clips = {side: values for side, values in sides.items() if "trimmed" not in side}
    shares = {side: report["flops_per_step"] / v["training"] / where["flops"] for side, v in whole_clips.items()}
    cells = [f"{shares[side]:.0%}" if side in shares else "-" for side in sides]
    parts.append("| arithmetic of a step, of the speed of a bf16 matrix product | " + " | ".join(cells) + " |")
    parts.append("| peak memory | " + " | ".join(f"{v['memory'] / 1e9:.2f} GB" for v in sides.values()) + " |")
    parts.append("| mean loss of the steps | " + " | ".join(f"{v['loss']:.3f}" for v in sides.values()) + " |")
    parts += ["", *(f"- {side}: {SIDES[side][0]}" for side in sides)]
    return "\n".join(parts)


def average(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.mean(one[key] for one in rounds) for key in rounds[0]}


def ratio(before: float, now: float) -> str:
    return "" if before in (0, now) else f" ({before / now:.1f}x)"


if __name__ == "__main__":
    main()
