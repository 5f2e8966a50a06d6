"""What a run cost: time, memory, parameters."""

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch

from ser.acceleration.flops import share_of_peak
from ser.training.clock import Clock

log = logging.getLogger("ser")


@dataclass(frozen=True)
class Effort:
    """What the cost is reckoned from."""

    clips: int
    """Of an epoch."""
    audio: float
    """Seconds of these clips together."""
    clock: Clock
    parameters: dict[str, int]
    """`all` and `trained`."""
    flops: float | None
    """Operations of training on a clip; None where the peak of the device is not known."""

    def spent(self, rows: Sequence[dict[str, Any]], step: int, folder: Path) -> dict[str, Any]:
        """Put the cost of a run into the log, and into the form that environment.json has.

        Args:
            rows: the history.
            step: the kept one.
            folder: of the run, with its checkpoint.
        """
        last, peak = rows[-1], peak_memory()
        training = {
            "seconds_to_step": next(row["seconds"] for row in rows if row["step"] == step),
            "seconds": last["seconds"],
            "clips_per_second": round(last["epoch"] * self.clips / last["seconds"], 2),
            "real_time_factor": round(last["epoch"] * self.audio / last["seconds"], 1),
        }
        share = ""
        if self.flops is not None:
            training["share_of_peak"] = round(share_of_peak(self.flops, training["clips_per_second"]), 4)
            share = f", {100 * training['share_of_peak']:.1f} % of the peak of the GPU"
        log.info(
            "trained at %.1f clips/s, %.0fx real time%s: %s; peak memory of the %s %.2f GB",
            training["clips_per_second"],
            training["real_time_factor"],
            share,
            self.clock.in_words(),
            "GPU" if torch.cuda.is_available() else "process",
            peak / 1e9,
        )
        return {
            "training": training,
            "phases": {name: round(seconds, 3) for name, seconds in self.clock.phases.items()},
            "peak_memory_bytes": peak,
            "parameters": self.parameters,
            "checkpoint_bytes": sum(path.stat().st_size for path in (folder / "checkpoint").glob("*.safetensors")),
        }


def reset_peak_memory() -> None:
    """Begin a run: what an earlier one of this process held on the GPU is not counted."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_memory() -> int:
    """Return bytes: the most that the run has held on the GPU; where there is none, the process since it began."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    try:
        import resource
    except ImportError:  # Windows
        return int(psutil.Process().memory_info().peak_wset)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most  # bytes there, kibibytes elsewhere
