"""The tables of scripts/benchmark.py."""

import statistics
from typing import Any

SIDES: dict[str, tuple[str, list[str]]] = {
    "naive": ("eager float32 (float16 on a GPU), batches of 4, random order, padded, nothing cached", []),
    "naive, bf16": ("the same with the Trainer's `bf16=True`: what the precision alone gives", ["--bf16"]),
    "fast": (
        "bf16; batches of 8 of like length; the frozen CNN computed once, which is the same for large and 1b, and for "
        "base (group norm) means that clips are computed without padding",
        [],
    ),
    "fast, trimmed": ("other input: silence at both ends is cut", ["audio.trim=true"]),
}
"""What each side does, and what is added to the words of scripts/naive.py or of `ser train trainer=fast`."""
PHASES = {"prepare": "clip", "features": "clip", "training": "step", "evaluation": "clip", "checkpoints": "checkpoint"}
"""Each phase of a run, and what its time is counted by."""
PAPER = {"prepare": 1440, "features": 1440, "training": 600, "evaluation": 6 * 288, "checkpoints": 6}
"""How often that is in HuBERT-large's run of the paper: 600 steps, 6 evaluations and checkpoints."""


def markdown(report: dict[str, Any]) -> str:
    """A table of seconds and ratios by phase, and what each side does."""
    sides = {side: average(entry["rounds"]) for side, entry in report["sides"].items()}
    plain = next(iter(sides.values()))
    where = report["machine"]
    device = ", ".join(where["gpu"]) or f"{where['processor']}, {where['threads']} threads"
    parts = [
        f"{report['model']}, {report['steps']} steps after {report['warm-up']} to warm up, {report['rounds']} rounds, "
        f"mean; {device}, torch {where['packages']['torch']}, {where['date']}. First column against the others.",
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
    if where["peak"]:
        cells = [f"{shares[side] * where['flops'] / where['peak']:.1%}" if side in shares else "-" for side in sides]
        parts.append("| the same, of the card's peak | " + " | ".join(cells) + " |")
    parts.append("| peak memory | " + " | ".join(f"{v['memory'] / 1e9:.2f} GB" for v in sides.values()) + " |")
    parts.append("| mean loss of the steps | " + " | ".join(f"{v['loss']:.3f}" for v in sides.values()) + " |")
    parts += ["", *(f"- {side}: {SIDES[side][0]}" for side in sides)]
    return "\n".join(parts)


def average(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.mean(one[key] for one in rounds) for key in rounds[0]}


def ratio(before: float, now: float) -> str:
    return "" if before in (0, now) else f" ({before / now:.1f}x)"
