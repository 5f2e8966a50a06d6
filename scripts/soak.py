"""Send a server thousands of requests of every kind, and watch its memory and its answers.

    python scripts/soak.py --requests 10000

Starts `ser serve` with a tiny random checkpoint on a free port of this machine, and with timeout=3: what the page
uploads is kept for as long, and would fill memory by design during a run of a few minutes. Each answer is compared
with that of `ser predict` for the same file. Memory counts as flat where a line through the resident memory during the
second half of the requests rises by no more than TOLERANCE megabytes per 1000 requests. Exits with 1 where it is not
flat, an answer is wrong, or a status is not the one that is due.
"""

import argparse
import http.client
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
from soak_requests import KINDS, Outcome, Server, recordings
from tabulate import tabulate

TOLERANCE = 1.0
"""Megabytes per 1000 requests."""
ENOUGH = 2000
"""Requests, below which the warm-up of the server hides whether memory is flat."""
AT_ONCE = 8


def checkpoint(folder: Path) -> Path:
    """A tiny encoder with random weights."""
    import torch
    from hydra import compose, initialize_config_dir

    from ser.apps import CONFIGS, SCHEMAS, checked
    from ser.corpora.ravdess import EMOTIONS
    from ser.models import checkpoint

    with initialize_config_dir(CONFIGS, version_base="1.3"):
        config = checked(compose("train", overrides=["model=tiny"]), SCHEMAS["train"])
    torch.manual_seed(0)
    classifier, extractor = checkpoint.build(config.model, EMOTIONS)
    checkpoint.save(classifier, extractor, folder / "checkpoint", {})
    return folder


def predicted(model: Path, audio: Path, *options: str) -> dict[str, list[dict[str, float]]]:
    """Probabilities by file, one set for each window, as `ser predict` writes them."""
    output = audio.parent / f"answers{len(options)}.jsonl"
    command = [sys.executable, "-m", "ser", "predict", f"checkpoint={model}", f"audio={audio}", f"output={output}"]
    subprocess.run([*command, *options], check=True, capture_output=True)
    found: dict[str, list[dict[str, float]]] = {}
    for line in map(json.loads, output.read_text().splitlines()):
        found.setdefault(line["path"], []).append(line["probabilities"])
    return found


def soak(server: Server, process: psutil.Process, requests: int, seconds: float) -> tuple[list[Outcome], list[float]]:
    """Send requests of random kinds, some at once.

    Returns:
        What became of each, and the resident megabytes after each.
    """
    draw = random.Random(0)
    kinds = draw.choices(list(KINDS), [kind.weight for kind in KINDS], k=requests)
    seeds = [draw.random() for _ in kinds]
    memory, lock, end = [], threading.Lock(), time.monotonic() + seconds

    def ask(index: int) -> Outcome | None:
        if time.monotonic() > end:
            return None
        outcome = kinds[index].ask(server, random.Random(seeds[index]))
        with lock:
            memory.append(process.memory_info().rss / 1e6)
            if len(memory) % 1000 == 0:
                print(
                    f"{len(memory)} requests, {memory[-1]:.1f} MB resident, {process.num_fds()} files open", flush=True
                )
        return outcome

    with ThreadPoolExecutor(AT_ONCE) as threads:
        outcomes = [outcome for outcome in threads.map(ask, range(requests)) if outcome is not None]
    return outcomes, memory


def slope(memory: list[float]) -> float:
    """Megabytes per 1000 requests, over the second half."""
    half = memory[len(memory) // 2 :]
    return 1000 * float(np.polyfit(np.arange(len(half)), half, 1)[0])


def report(outcomes: list[Outcome], memory: list[float], asked: int) -> bool:
    """Print what happened; whether all of it is as it should be."""
    rows = []
    for kind in KINDS:
        own = [outcome for outcome in outcomes if outcome.kind == kind.name]
        statuses = Counter(outcome.status for outcome in own)
        said = ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))
        bad = sum(outcome.status != kind.due for outcome in own)
        rows.append((kind.name, len(own), kind.due, said, bad, sum(outcome.is_wrong for outcome in own)))
    print(tabulate(rows, ["request", "sent", "status due", "statuses", "other than due", "wrong answers"]))
    print(f"resident MB after each 1000: {', '.join(f'{value:.0f}' for value in memory[999::1000])}")
    right = not any(bad or wrong for *_, bad, wrong in rows) and len(outcomes) == asked
    if len(memory) < ENOUGH:
        print(f"{len(memory)} requests are too few to tell whether memory is flat")
        return right
    rise = slope(memory)
    is_flat = rise <= TOLERANCE
    print(f"memory rises by {rise:.2f} MB per 1000 requests in the second half: {'flat' if is_flat else 'NOT FLAT'}")
    return right and is_flat


def main() -> None:
    """Start the server, send, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=1800, help="no request begins later")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ser-soak-") as name:
        folder = Path(name)
        model, clips = checkpoint(folder / "run"), recordings(folder / "clips")
        whole, windows = predicted(model, folder / "clips"), predicted(model, folder / "clips", "window=1", "hop=0.5")
        command = [
            sys.executable,
            "-m",
            "ser",
            "serve",
            f"checkpoint={model}",
            "port=0",
            "max_megabytes=1",
            "timeout=3",
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
            try:
                assert running.stdout is not None
                host = running.stdout.readline().strip().removeprefix("http://")
                server = Server(host, clips, whole, windows)
                process = psutil.Process(running.pid)
                server.ask("/predict", next(iter(clips.values())))  # answered when the network is loaded
                print(f"{process.memory_info().rss / 1e6:.1f} MB resident after the first request", flush=True)
                begun = time.monotonic()
                outcomes, memory = soak(server, process, arguments.requests, arguments.seconds)
                print(f"{len(outcomes)} requests in {time.monotonic() - begun:.0f} s, {AT_ONCE} at once")
                connection = http.client.HTTPConnection(host, timeout=60)
                connection.request("GET", "/health")
                print("health:", connection.getresponse().read().decode())
            finally:
                running.terminate()
                _, said = running.communicate(timeout=60)
        print(f"the server ended with {running.returncode}; its log has {len(said.splitlines())} lines")
    sys.exit(0 if report(outcomes, memory, arguments.requests) and running.returncode == 0 else 1)


if __name__ == "__main__":
    main()
