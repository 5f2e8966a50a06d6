"""Measure time and memory of preparation, the start of training and prediction at growing numbers of rows.

    python scripts/scale.py --root RAVDESS --rows 1000 10000 100000 --brief 1000000 --out FOLDER

The corpora are those of `large_corpus.py`: a second of speech a row with planted copies, and for `--brief` rows of
30 ms in a few files, which prediction leaves out. Each stage runs in a process of its own. Memory is the largest
anonymous memory of the process (`RssAnon`); pages of mapped files can be dropped at any time and are not counted.
Linux alone has it.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).resolve().parent
STAGES = ("prepare", "prepare again", "open", "split", "audit", "first step", "predict")
POLL = 0.02
"""Seconds between two looks at the memory of a process."""
LIMITED = {**os.environ, "OMP_NUM_THREADS": "1"}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, help="the folder of RAVDESS")
    parser.add_argument("--rows", type=int, nargs="*", default=[])
    parser.add_argument("--brief", type=int, nargs="*", default=[], help="numbers of rows of 30 ms")
    parser.add_argument("--out", type=Path, help="a new folder for the corpora and the results")
    parser.add_argument("--stage", help="run one stage in this process: what the script calls itself with")
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    if options.stage:
        run_stage(options.stage, options.data)
        return
    options.out.mkdir(parents=True)
    results = []
    for rows, brief in [*((n, False) for n in options.rows), *((n, True) for n in options.brief)]:
        results.append(measure_size(options, rows, brief))
        (options.out / "results.json").write_text(json.dumps(results, indent=2))
        (options.out / "results.md").write_text(tabulate(results))
    print(tabulate(results))


def measure_size(options: argparse.Namespace, rows: int, brief: bool) -> dict[str, Any]:
    """Make a corpus of one size and measure each stage."""
    folder = options.out / f"{rows}{'-brief' * brief}"
    make = [sys.executable, str(SCRIPTS / "large_corpus.py"), "--rows", str(rows), "--out", str(folder)]
    subprocess.run([*make, "--brief"] if brief else [*make, "--root", str(options.root)], check=True)
    corpus = ["corpus=table", f"corpus.table={folder}/corpus.csv", f"data_dir={folder}/data", "protocol=random"]
    prepare = ["ser", "prepare-data", *corpus]
    train = [*corpus, "model=tiny", "trainer=scratch", "tracking=none", "trainer.max_steps=1"]
    measured = {"prepare": measure(prepare), "prepare again": measure(prepare)}
    os.environ["SCALE_TRAIN"] = json.dumps([*train, f"output_dir={folder}/run"])
    for stage in ("open", "split", "audit", "first step"):
        measured[stage] = measure([sys.executable, __file__, "--stage", stage, "--data", str(folder / "data")])
    if not brief:
        checkpoint = make_checkpoint(options.out, train)
        predict = ["ser", "predict", f"checkpoint={checkpoint}", f"audio={folder}/corpus.csv", f"root={folder}"]
        measured["predict"] = measure([*predict, f"output={folder}/predictions.parquet"])
    return {"rows": rows, "brief": brief, "stages": measured}


def make_checkpoint(out: Path, train: list[str]) -> Path:
    """Train the model that predicts, once, for one step."""
    run = out / "checkpoint-run"
    if not run.exists():
        subprocess.run(
            ["ser", "train", *train, f"output_dir={run}"], check=True, env=LIMITED, stdout=subprocess.DEVNULL
        )
    return run


def measure(command: list[str]) -> dict[str, float]:
    """Run a command; return its seconds of wall time and of CPU, and its largest anonymous memory in bytes.

    A stage of this script prints both times, without imports, as its last line.
    """
    started, peak, before = time.monotonic(), 0, os.times()
    process = subprocess.Popen(command, env={**LIMITED, **os.environ}, stdout=subprocess.PIPE, text=True)
    while process.poll() is None:
        peak = max(peak, anonymous_bytes(process.pid))
        time.sleep(POLL)
    output = process.stdout.read() if process.stdout else ""
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit {process.returncode}")
    after = os.times()
    wall = time.monotonic() - started
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    if "--stage" in command:
        wall, cpu = map(float, output.strip().splitlines()[-1].split())
    return {"seconds": wall, "cpu": cpu, "peak": peak}


def anonymous_bytes(process: int) -> int:
    """Return the anonymous memory of a process; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return 1024 * next((int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)


def run_stage(stage: str, data: Path) -> None:
    """Run a stage in this process and print its seconds."""
    from ser.config import Corpus, Protocol
    from ser.data.prepared_corpus import open_prepared

    if stage == "first step":
        take_first_step(json.loads(os.environ["SCALE_TRAIN"]))
        return
    corpus = Corpus("table", reader="table", table=str(data.parent / "corpus.csv"))
    protocol = Protocol(name="random", seed=0, test_fraction=0.2, validation_fraction=0.1, validation_speakers=0)
    started = time.monotonic(), time.process_time()
    prepared = open_prepared(str(data), corpus)
    if stage != "open":
        from ser.corpora.recordings import Scan
        from ser.data.audit import audit
        from ser.data.preparation import put_in_order
        from ser.data.protocols import split_corpus

        splits = split_corpus(prepared.utterances, protocol)
        if stage == "audit":
            started = time.monotonic(), time.process_time()
            clips = put_in_order(prepared.audio, prepared.indices(prepared.utterances))
            audit(Scan(), prepared.utterances, clips, splits, None)
    print(time.monotonic() - started[0], time.process_time() - started[1])


def take_first_step(train: list[str]) -> None:
    """Train until the first step has been taken, and print the seconds from the start of the command."""
    started = time.monotonic()
    from transformers import TrainerCallback

    import ser.experiments.fitting as experiment
    from ser.cli import main as run

    class Stop(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            print(time.monotonic() - started, time.process_time(), flush=True)
            os._exit(0)

    add = experiment.add_callbacks

    def add_with_stop(trainer: Any, *rest: Any) -> None:
        add(trainer, *rest)
        trainer.add_callback(Stop())

    experiment.add_callbacks = add_with_stop
    sys.argv = ["ser", "train", *train]
    run()


def tabulate(results: list[dict[str, Any]]) -> str:
    """Return a table: wall time, CPU time and memory of each stage, the exponent of CPU time, the bytes of a row."""
    heads = [f"{one['rows']:,}{' (30 ms)' if one['brief'] else ''}".replace(",", " ") for one in results]
    lines = ["| stage | " + " | ".join(heads) + " | exponent | bytes a row |", "|---" * (len(heads) + 3) + "|"]
    for stage in STAGES:
        there = [one for one in results if stage in one["stages"]]
        cells = [cell(one["stages"].get(stage)) for one in results]
        same = [one for one in there if one["brief"] == there[-1]["brief"]][-2:]
        lines.append(f"| {stage} | " + " | ".join(cells) + f" | {' | '.join(fit(same, stage))} |")
    return "\n".join(lines) + "\n"


def cell(measured: dict[str, float] | None) -> str:
    if measured is None:
        return "-"
    return f"{measured['seconds']:.1f} s ({measured['cpu']:.1f}), {measured['peak'] / 1e6:.0f} MB"


def fit(pair: list[dict[str, Any]], stage: str) -> tuple[str, str]:
    """Return how time and memory grow between the two largest sizes of a kind."""
    if len(pair) < 2:
        return "-", "-"
    (few, many), ratio = pair, pair[1]["rows"] / pair[0]["rows"]
    first, last = few["stages"][stage], many["stages"][stage]
    exponent = math.log(last["cpu"] / first["cpu"]) / math.log(ratio)
    return f"{exponent:.2f}", f"{(last['peak'] - first['peak']) / (many['rows'] - few['rows']):.0f}"


if __name__ == "__main__":
    main()
