"""Do to `ser` what happens to it: kills, full disks, torn files, hostile servers, broken audio, nonsense.

    python scripts/faults.py --only kills --count 50 --seed 0 --out faults.md

Each part runs the real command in processes of its own, on a corpus and a network of a few seconds, and lists every
breach of four promises: nothing is lost (a resumed run gives what an uninterrupted one gives, bit for bit; files of the
user's stay), no traceback, no hang, no wrong acceptance (status 0 with other numbers). The table is written anew after
every part. Without --count each part has the number of its own; --seed draws the moments.
"""

import argparse
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import faults_audio
import faults_bulk
import faults_disks
import faults_fuzz
import faults_preemption
import faults_preparation
import faults_servers
import faults_signals
import faults_torn
from faults_ground import Ground, Part

PARTS: dict[str, tuple[Callable[[Ground, int], Part], int]] = {
    "kills": (faults_signals.kills, 50),
    "sigterm": (faults_signals.sigterm, 30),
    "sigint": (faults_signals.sigint, 10),
    "preemption": (faults_preemption.preemption, 30),
    "overwrite": (faults_signals.overwrite, 10),
    "together": (faults_signals.together, 6),
    "preparation": (faults_preparation.preparation, 20),
    "bulk": (faults_bulk.bulk, 20),
    "disk": (faults_disks.disk, 10),
    "torn": (faults_torn.torn, 130),
    "readonly": (faults_disks.readonly, 10),
    "hub": (faults_servers.hub, 56),
    "tracker": (faults_servers.tracker, 6),
    "audio": (faults_audio.audio, 1000),
    "fuzz": (faults_fuzz.fuzz, 1000),
}
"""Each part, and how often it tries."""


def main() -> int:
    given = arguments()
    begun, parts = time.monotonic(), list[tuple[Part, float]]()
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        ground = Ground(Path(folder), given.seed)
        for name in given.only:
            print(name, flush=True)
            run, count = PARTS[name]
            started = time.monotonic()
            ground.random.seed(f"{given.seed} {name}")  # whatever other parts run
            part = run(ground, count if given.count is None else given.count)
            parts.append((part, time.monotonic() - started))
            given.out.write_text(markdown(parts, given.seed, time.monotonic() - begun), encoding="utf-8")
    print(given.out.read_text(encoding="utf-8"))
    return 1 if any(part.violations for part, _ in parts) else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=named, default=list(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--count", type=int, help="how often each part tries")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("faults.md"))
    return parser.parse_args()


def named(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in PARTS]:
        raise argparse.ArgumentTypeError(f"no part {unknown[0]}; choices: {', '.join(PARTS)}")
    return names


def markdown(parts: list[tuple[Part, float]], seed: int, seconds: float) -> str:
    """The table of all parts, and below it every violation, how often it was seen, and what was left out."""
    lines = [
        f"`python {' '.join(['scripts/faults.py', *sys.argv[1:]])}`, seed {seed}, commit {commit()}, "
        f"{time.strftime('%Y-%m-%d')}, {machine()}, {seconds / 60:.0f} minutes.",
        "",
        "| part | tried | violations | minutes |",
        "|---|---|---|---|",
    ]
    for part, took in parts:
        tried = "; ".join(f"{number} {what}" for what, number in part.tried.items())
        total = sum(part.tried.values())
        lines.append(f"| {part.name} | {total}: {tried} | {len(part.violations)} | {took / 60:.1f} |")
    for title, said in (("Violations", "violations"), ("Left out and noted", "notes")):
        told = Counter(f"{part.name}: {text}" for part, _ in parts for text in getattr(part, said))
        lines += ["", f"{title}: {sum(told.values()) or 'none'}", ""]
        lines += [f"- {text}" + (f" ({number} times)" if number > 1 else "") for text, number in told.items()]
    return "\n".join(lines) + "\n"


def commit() -> str:
    folder = Path(__file__).parent
    asked = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=folder)
    return asked.stdout.strip() or "unknown"


def machine() -> str:
    names = [line.split(":")[1].strip() for line in cpu_info() if line.startswith("model name")]
    return f"{len(names) or 'some'} cores of {names[0] if names else platform.processor() or platform.machine()}"


def cpu_info() -> list[str]:
    place = Path("/proc/cpuinfo")
    return place.read_text(encoding="utf-8").splitlines() if place.is_file() else []


if __name__ == "__main__":
    sys.exit(main())
