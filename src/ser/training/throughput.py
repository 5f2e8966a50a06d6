"""The cost of a run: time by phase, throughput, memory, parameters."""

import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ser.acceleration.flops import share_of_peak

log = logging.getLogger("ser")

PHASES = ("data", "training", "evaluation", "checkpoints")


class PhaseTimer(TrainerCallback):
    """Writes `seconds` into every entry of the Trainer's log, and sums the time of each phase.

    `seconds` is the training time including evaluation and saving. The log is stored with each checkpoint, so a resumed
    run continues from its value, or from that of a checkpoint between two entries. `phases` covers only this process.

    The Trainer calls back at the end of each phase, and the time since the previous call is added to that phase. A GPU
    computes asynchronously, so a phase may include work that the previous phase queued.
    """

    def __init__(self) -> None:
        self.phases = dict.fromkeys(PHASES, 0.0)

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        before = max((entry.get("seconds", 0.0) for entry in state.log_history), default=0.0)
        self.last = time.monotonic()
        self.start = self.last - before

    def count_from(self, seconds: float) -> None:
        """Start at the seconds that training took before it was interrupted."""
        self.start = time.monotonic() - seconds

    def seconds(self) -> float:
        return time.monotonic() - self.start

    def add(self, phase: str) -> None:
        now = time.monotonic()
        self.phases[phase] += now - self.last
        self.last = now

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """End the phase that fetches the batches of a step."""
        self.add("data")

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.add("training")

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.add("evaluation")

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.add("checkpoints")

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.log_history:
            state.log_history[-1]["seconds"] = round(self.seconds(), 3)

    def describe(self) -> str:
        """Return the share of each phase, largest first."""
        whole = sum(self.phases.values()) or 1.0
        ordered = sorted(self.phases.items(), key=lambda phase: -phase[1])
        return ", ".join(f"{name} {100 * seconds / whole:.0f} %" for name, seconds in ordered)


@dataclass(frozen=True)
class RunCost:
    """The quantities from which the cost of a run is computed."""

    clips: int
    """Number of clips of an epoch."""
    audio_seconds: float
    """Total length of the clips of an epoch."""
    timer: PhaseTimer
    parameters: dict[str, int]
    """Numbers of parameters, `all` and `trained`."""
    flops_per_clip: float | None
    """Operations of training for each clip; None where the peak of the device is unknown."""

    def summary(self, history: Sequence[dict[str, Any]], step: int, folder: Path) -> dict[str, Any]:
        """Log the cost of a run, and return it in the format of environment.json.

        Args:
            history: The rows of `ser.reports.history`.
            step: The step of the selected checkpoint.
            folder: The run folder, with its checkpoint.
        """
        last, peak = history[-1], peak_memory()
        training = {
            "seconds_to_step": next(row["seconds"] for row in history if row["step"] == step),
            "seconds": last["seconds"],
            "clips_per_second": round(last["epoch"] * self.clips / last["seconds"], 2),
            "real_time_factor": round(last["epoch"] * self.audio_seconds / last["seconds"], 1),
        }
        share = ""
        if self.flops_per_clip is not None:
            training["share_of_peak"] = round(share_of_peak(self.flops_per_clip, training["clips_per_second"]), 4)
            share = f", {100 * training['share_of_peak']:.1f} % of the peak of the GPU"
        log.info(
            "trained at %.1f clips/s, %.0fx real time%s: %s; peak memory of the %s %.2f GB",
            training["clips_per_second"],
            training["real_time_factor"],
            share,
            self.timer.describe(),
            "GPU" if torch.cuda.is_available() else "process",
            peak / 1e9,
        )
        return {
            "training": training,
            "phases": {name: round(seconds, 3) for name, seconds in self.timer.phases.items()},
            "peak_memory_bytes": peak,
            "parameters": self.parameters,
            "checkpoint_bytes": sum(path.stat().st_size for path in (folder / "checkpoint").glob("*.safetensors")),
        }


def reset_peak_memory() -> None:
    """Reset the peak GPU memory, which includes earlier runs of this process."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_memory() -> int:
    """Return the peak memory in bytes: that of the run on the GPU, or of the process without a GPU."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    try:
        import resource
    except ImportError:  # Windows
        return int(psutil.Process().memory_info().peak_wset)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most  # bytes there, kibibytes elsewhere
