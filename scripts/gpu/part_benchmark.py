"""Part b: scripts/benchmark.py for large, then 1b and base; a model that does not fit into the time is named."""

import sys
import time
from pathlib import Path
from typing import NamedTuple

from document import Document, failure
from options import Options, given
from processes import run

SCRIPT = Path(__file__).resolve().parents[1] / "benchmark.py"
FEWEST = 30  # seconds that a model is started with


class Model(NamedTuple):
    """A shape, and how long it is measured."""

    shape: str
    clips: int
    steps: int
    rounds: int
    whole: int
    """Steps of the real run at the end; 0: none."""


MODELS = (Model("large", 1440, 40, 2, 600), Model("1b", 96, 20, 1, 0), Model("base", 96, 40, 1, 0))
SMALL = (Model("tiny", 96, 4, 1, 6),)


def main() -> None:
    options = given()
    document, end = options.document, time.monotonic() + options.seconds
    document.write(
        "The naive way and `trainer=fast` in turn, each in a process of its own, the same clips and random weights; "
        "warm-up steps and the first evaluation are left out; clocks are read when the device has nothing left to do."
    )
    if options.device == "cuda":
        document.write(
            "Aims for HuBERT-large, 600 steps with 6 evaluations and 6 checkpoints, on an H100: 30 s, then 15 s; "
            "at least 5 times the naive way."
        )
    wrong = [
        model.shape for model in (SMALL if options.small else MODELS) if not measured(model, options, end, document)
    ]
    if wrong:
        sys.exit(f"not measured: {', '.join(wrong)}")


def measured(model: Model, options: Options, end: float, document: Document) -> bool:
    """Whether a model's table was written; otherwise the document says why it was not."""
    left = end - time.monotonic()
    if left < FEWEST:
        document.write(f"{model.shape}: not measured, the time was over.")
        return True
    command = [
        sys.executable, str(SCRIPT), "--model", model.shape, "--clips", str(model.clips), "--steps", str(model.steps),
        "--rounds", str(model.rounds), "--whole", str(model.whole), "--sides", "naive", "fast",
        "--device", options.device, "--seconds", str(int(left - 5)), "--of-clips", "96", "--out", str(options.out),
    ]  # fmt: skip
    ended = run(command, left - 3)
    if ended.status == 0:
        return True
    why = "cut off, the time was over" if ended.status is None else f"failed (status {ended.status})"
    document.write("", f"**{model.shape}: {why}.**", failure(ended.output))
    return ended.status is None


if __name__ == "__main__":
    main()
