"""Runs the parts of scripts/gpu.sh one after the other and writes one Markdown file.

Needs the standard library only: each part is a process of its own, so that one that crashes, hangs or takes the GPU's
context with it costs nothing but itself. Time that a part does not use is left to those behind it.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from document import Document, failure
from packed import installed
from processes import run

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


class Part(NamedTuple):
    """A part of the document."""

    title: str
    script: str
    seconds: int
    """Of the 9 minutes."""


PARTS = {
    "a": Part("Tests on the device", "part_tests.py", 140),
    "b": Part("Speed against the naive way", "part_benchmark.py", 200),
    "c": Part("Where the time goes, and what each switch gives", "part_profile.py", 110),
    "d": Part("A real run", "part_corpus.py", 65),
}
HEADER = 20  # seconds: importing PyTorch for the first time
SMALL = 10  # times the seconds: tiny shapes on a CPU that others use too


def main() -> None:
    given = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `run` ends what it started
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text("", encoding="utf-8")
    document = Document(given.out)
    with tempfile.TemporaryDirectory(prefix="ser-gpu-") as work:
        environment = environment_of(given, Path(work))
        chosen = [name for name in PARTS if name in given.only.split(",")]
        went_well = [run_part(name, given, document, Path(work), environment) for name in ["header", *chosen]]
    print(f"{given.out} is written")
    sys.exit(0 if all(went_well) else 1)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/gpu.sh", description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--small", action="store_true", help="tiny shapes, to see that the script works")
    parser.add_argument("--out", type=Path, default=Path("gpu.md"), help="the Markdown")
    parser.add_argument("--pack", type=Path, help="what scripts/gpu_pack.sh collected: wheels, corpus, encoder")
    parser.add_argument("--corpus", type=Path, help="recordings with RAVDESS's names, for part d")
    parser.add_argument("--encoder", type=Path, help="the folder of moonshine-tiny, for part d")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, such as a,b")
    given = parser.parse_args()
    given.left, given.out = 0.0, given.out.resolve()  # a part may work in a folder of its own
    if unknown := set(given.only.split(",")) - PARTS.keys():
        parser.error(f"--only {given.only}: no part {min(unknown)}; choices: {','.join(PARTS)}")
    if given.pack:
        given.pack = given.pack.resolve()
        given.corpus = given.corpus or existing(given.pack / "corpus")
        given.encoder = given.encoder or existing(given.pack / "encoder")
    return given


def existing(folder: Path) -> Path | None:
    return folder if folder.is_dir() else None


def environment_of(given: argparse.Namespace, work: Path) -> dict[str, str]:
    """The environment of the parts: this checkout, packed wheels, no network, no GPU where none is asked for."""
    paths = [str(ROOT / "src"), str(ROOT / "scripts"), os.environ.get("PYTHONPATH", "")]
    if given.pack:
        paths.insert(2, installed(given.pack / "wheels", work / "site"))
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if given.device == "cpu" else {}
    quiet = {"HF_HUB_OFFLINE": "1", "WANDB_MODE": "disabled", "TOKENIZERS_PARALLELISM": "false"}
    return {**os.environ, **hidden, **quiet, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def run_part(name: str, given: argparse.Namespace, document: Document, work: Path, environment: dict[str, str]) -> bool:
    """Run a part and say in the document how it ended, where it did not end well."""
    part = PARTS.get(name, Part("", "header.py", HEADER))
    if name in PARTS:
        document.write(f"## {name}. {part.title}")
    folder = work / name
    folder.mkdir()
    limit = part.seconds * (SMALL if given.small else 1) + given.left
    options = [
        "--device", given.device, "--out", str(given.out), "--work", str(folder), "--seconds", str(int(limit)),
        *(["--small"] if given.small else []),
        *(["--corpus", str(given.corpus.resolve())] if given.corpus else []),
        *(["--encoder", str(given.encoder.resolve())] if given.encoder else []),
        "--command", " ".join(["bash scripts/gpu.sh", *sys.argv[1:]]),
    ]  # fmt: skip
    started = time.monotonic()
    ended = run([sys.executable, str(HERE / part.script), *options], limit, environment)
    given.left = limit - (time.monotonic() - started)  # for the part behind
    if ended.status is None:
        document.write("", f"**Cut off after {ended.seconds:.0f} s.** What is above is what was done until then.")
    elif ended.status:
        document.write("", f"**Failed** (status {ended.status}):", failure(ended.output))
    if name in PARTS:
        document.write(f"({ended.seconds:.0f} s)")
    print(f"{name}: {'ok' if ended.status == 0 else 'cut off' if ended.status is None else 'FAILED'}", flush=True)
    return ended.status == 0


if __name__ == "__main__":
    main()
