"""Part d: a real run with its accuracy, `ser predict` on a folder, and ONNX on the GPU against the CPU."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from benchmark_inputs import SMALL_SECONDS, clips_of_our_own
from options import Options, given

FEW = ("trainer.max_steps=4", "trainer.eval_strategy=steps", "trainer.eval_steps=2", "trainer.save_steps=2")


def main() -> None:
    options = given()
    document = options.document
    os.chdir(options.work)
    if options.small:
        document.write("Clips of noise, `model=tiny` with one layer, 4 steps (`--small`): no figure is about speech.")
        words = ["model=tiny", "model.encoder_config.num_hidden_layers=1", "trainer=scratch", *FEW]
        root = ["--root", str(clips_of_our_own(Path("noise"), 96, 16_000, SMALL_SECONDS))]
    elif options.corpus is None or options.encoder is None:
        document.write("Not run: no corpus and encoder were given (`--pack`, or `--corpus` and `--encoder`).")
        return
    else:
        words = ["experiment=laptop", f"model.pretrained='{options.encoder}'", "trainer.num_train_epochs=4"]
        words += ["trainer.bucket_by_length=true", "trainer.cache_features=true", "trainer.dataset_on_gpu=true"]
        root = ["--root", str(options.corpus)]
    trained(options, words, root)
    predicted(options)
    exported(options)


def ser(*words: str) -> float:
    """Run a command of `ser`; the seconds that it took, its start included."""
    started = time.monotonic()
    result = subprocess.run([sys.executable, "-m", "ser", *words], capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"ser {' '.join(words)}\n{result.stderr}")
    return time.monotonic() - started


def trained(options: Options, words: list[str], root: list[str]) -> None:
    """Prepare, train and say what came of it."""
    protocol = [word for word in words if word.startswith(("corpus=", "protocol="))]
    preparing = ser("prepare-data", *protocol, "data_dir=data", *root)
    took = ser("train", "tracking=none", "data_dir=data", "output_dir=run", *words)
    run = run_folder()
    used = json.loads((run / "environment.json").read_text())
    report = json.loads((run / "classification_report.json").read_text())
    training = used["training"]
    spent = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in used["phases"].items())
    document = options.document
    document.write(f"`ser prepare-data`: {preparing:.0f} s. `ser train {' '.join(named(words, options))}`:")
    document.table("", "")
    document.row("about", used["provenance"]["in_words"])
    for name in ("accuracy", "unweighted_average_recall"):
        low, high = interval_of(report, name)
        document.row(name.replace("_", " "), f"{report[name]:.1%} [{low:.1%}, {high:.1%}]")
    document.row(
        "training",
        f"{training['clips_per_second']} clips/s, {epoch(run):.1f} s an epoch with evaluation and checkpoint",
    )
    document.row("spent on", spent)
    document.row("the whole command", f"{took:.0f} s")
    document.row("peak memory", f"{used['peak_memory_bytes'] / 1e9:.2f} GB")
    document.end()


def run_folder() -> Path:
    """The run, which a protocol with folds puts a level lower."""
    return next(
        path.parent for path in sorted(Path("run").glob("**/environment.json")) if "checkpoint" not in path.parts
    )


def named(words: list[str], options: Options) -> list[str]:
    """The words of the command line without this machine's paths."""
    return [word.replace(str(options.encoder), options.encoder.name) if options.encoder else word for word in words]


def interval_of(report: dict[str, object], name: str) -> tuple[float, float]:
    intervals = report["intervals"]
    assert isinstance(intervals, dict)
    low, high = intervals[name]
    return low, high


def epoch(run: Path) -> float:
    """Seconds of an epoch, from the last row of the history."""
    header, *rows = (run / "history.csv").read_text().splitlines()
    last = dict(zip(header.split(","), rows[-1].split(","), strict=True))
    return float(last["seconds"]) / float(last["epoch"])


def predicted(options: Options) -> None:
    """Answer a folder of recordings."""
    folder = options.corpus or Path("data/synthetic") if not options.small else made()
    took = ser("predict", f"checkpoint={run_folder()}", "--audio", str(folder), "output=answers.csv")
    answers = Path("answers.csv").read_text(encoding="utf-8").count("\n") - 1
    options.document.write(f"`ser predict` on a folder: {answers} recordings in {took:.1f} s, its start included.")


def made() -> Path:
    """A few recordings of our own."""
    return clips_of_our_own(Path("clips"), 6, 16_000)


def exported(options: Options) -> None:
    """The ONNX model on each provider that is here, against PyTorch on the CPU."""
    try:
        import onnxruntime
    except ImportError:
        options.document.write("ONNX: not run, onnxruntime is not here.")
        return
    ser("export", f"checkpoint={run_folder()}", "score=false")
    from ser.export import parity
    from ser.models import checkpoint

    opened = checkpoint.open_checkpoint(run_folder() / "checkpoint")
    expected = parity.Expected.from_checkpoint(opened)
    document = options.document.table("ONNX provider", "logits off by", "probabilities off by")
    for provider in ("CPUExecutionProvider", "CUDAExecutionProvider"):
        if provider not in onnxruntime.get_available_providers():
            document.row(provider, "not here", "")
            continue
        session = onnxruntime.InferenceSession(run_folder() / "onnx" / "model.onnx", providers=[provider])
        if session.get_providers()[0] != provider:
            document.row(provider, "listed, and does not start", "")
            continue
        names = [entry.name for entry in session.get_inputs()]
        outputs = [session.run(None, {name: batch[name].numpy() for name in names})[0] for batch in expected.batches]
        found = np.concatenate(outputs)
        document.row(
            provider,
            f"{parity.logits_difference(expected.logits, found):.1e}",
            f"{parity.probabilities_difference(expected, found):.1e}",
        )
    document.end()


if __name__ == "__main__":
    main()
