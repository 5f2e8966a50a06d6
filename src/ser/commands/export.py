"""ser export checkpoint=runs/..."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from ser import config, console
from ser.acceleration.cpu_backend import enable_onednn_fp32_matmul
from ser.data import manifest
from ser.data.dataset import collator_for
from ser.data.prepared_corpus import PreparedCorpus
from ser.data.protocols import Splits
from ser.errors import UserError
from ser.evaluation.scoring import Scorer
from ser.export import onnx, package, parity
from ser.export.parity import Expected, Measurements, measure_form
from ser.extras import check_installed
from ser.files import check_kind, replacing, write_json
from ser.locks import locked
from ser.models import checkpoint, forward
from ser.models.architectures import depends_on_padding
from ser.models.checkpoint import Checkpoint
from ser.models.forward import LogitsFunction
from ser.models.hub import find_or_download_checkpoint, is_hub_name, weight_files
from ser.models.stamp import audio_config
from ser.reports.provenance import Provenance
from ser.reports.sources import build_provenance
from ser.runs.environment import describe_environment
from ser.runs.trained_data import default_data_dir, folder_beside, load_trained_data

log = logging.getLogger("ser")

FOLDER = "onnx"
MODEL, QUANTIZED = "model.onnx", "model.int8.onnx"
MEASUREMENTS = "export.json"
"""Written last; a folder that has it is an export."""
WRITTEN = (
    MODEL,
    QUANTIZED,
    MEASUREMENTS,
    package.FILE,
    "model_inputs.py",
    package.EXAMPLE.name,
    "trim.py",
    "mel_filters.npy",
    "__pycache__",
)
"""How the names of the files in an export begin: weights of more than 2 GB lie beside their model."""


def export(cfg: config.Export) -> None:
    """Convert a checkpoint for other runtimes, and show that the predictions are the same."""
    console.start_logging()
    console.quiet_transformers()
    check_installed("export", "onnx", "onnxruntime", "onnxscript")
    enable_onednn_fp32_matmul()
    folder = find_or_download_checkpoint(cfg.checkpoint)
    target = output_folder(cfg, folder)
    with locked(target):
        check_free(target)
        model = checkpoint.open_checkpoint(folder)
        test = find_test_data(cfg, folder, model)
        forms = write_export(cfg, folder, target, model, test)
    print_table(forms, test)
    print(target)


def write_export(
    cfg: config.Export, folder: Path, target: Path, model: Checkpoint, test: "TestData | None"
) -> list[Measurements]:
    """Write all files of an export, or none, and measure the forms of the model."""
    with replacing(target, folder=True) as temporary:
        temporary.mkdir()
        written = write_models(temporary, model, cfg.quantize)
        forms = measure_forms(folder, written, model, test)
        package.write_package(temporary, model, audio_config(model.stamp).trim, written[-1].name)
        write_json(temporary / MEASUREMENTS, summarise(forms, test))
    return forms


def output_folder(cfg: config.Export, folder: Path) -> Path:
    """Return the folder of the export."""
    if cfg.output_dir is not None:
        target = Path(cfg.output_dir)
    elif is_hub_name(cfg.checkpoint):
        target = Path(f"{cfg.checkpoint.split('/')[-1]}-{FOLDER}")
    else:
        target = folder_beside(folder, FOLDER)
    return target


def check_free(target: Path) -> None:
    """Raise a UserError where the folder holds anything but an export, which would be lost."""
    check_kind(target, folder=True)
    there = sorted(path.name for path in target.glob("*"))
    foreign = [name for name in there if not name.startswith(WRITTEN)] or (there if MEASUREMENTS not in there else [])
    if foreign:
        raise UserError(
            f"output_dir={target}: something else than an export is here ({foreign[0]}); give another output_dir"
        )


@dataclass(frozen=True)
class TestData:
    """The test split of a checkpoint."""

    prepared: PreparedCorpus
    splits: Splits
    provenance: Provenance
    model: Checkpoint
    batch_size: int

    def accuracy(self, compute: LogitsFunction) -> float:
        """Return the accuracy of any form of the model."""
        scorer = Scorer(
            compute,
            collator_for(self.model.extractor),
            audio_config(self.model.stamp).trim,
            self.batch_size,
            equal_lengths=depends_on_padding(self.model.classifier.config),
        )
        return scorer.predict(self.prepared, self.splits.test).accuracy


def find_test_data(cfg: config.Export, folder: Path, model: Checkpoint) -> TestData | None:
    """Return the test split of a checkpoint; None, with a line in the log, where it is not available.

    Raises:
        UserError: the data are here, but are not those of the checkpoint.
    """
    if not cfg.score:
        return None
    if not model.stamp:
        log.warning("accuracy: not measured, the checkpoint does not name its data")
        return None
    expected = Path(default_data_dir(model.stamp)) / manifest.FILE
    if cfg.root is None and cfg.data_dir is None and not expected.is_file():
        log.warning("accuracy: not measured, there is no %s; give data_dir=FOLDER or root=FOLDER", expected)
        return None
    protocol, prepared, splits = load_trained_data(model.stamp, folder, cfg.root, cfg.data_dir)
    checkpoint.check_labels(folder, model.labels, prepared.emotions)
    source = build_provenance(protocol, splits, config.Split.test, model.stamp, prepared)
    return TestData(prepared, splits, source, model, cfg.batch_size)


def write_models(folder: Path, model: Checkpoint, quantized: config.Quantize | None) -> list[Path]:
    """Write the model, and a quantized one where it is requested.

    Raises:
        UserError: the architecture cannot be exported, or the ONNX model differs from its checkpoint.
    """
    expected = Expected.from_checkpoint(model)
    onnx.write_model(model.classifier, expected.batches[-1], folder / MODEL)
    parity.check_parity(expected, onnx.Session(folder / MODEL).logits(expected.batches))
    if quantized is None:
        return [folder / MODEL]
    onnx.quantize(folder / MODEL, folder / QUANTIZED)
    return [folder / MODEL, folder / QUANTIZED]


def measure_forms(
    folder: Path, written: Sequence[Path], model: Checkpoint, test: TestData | None
) -> list[Measurements]:
    """Measure the checkpoint, then the exported models."""
    expected = Expected.from_checkpoint(model)
    compute = partial(parity.logits_on_cpu, model.classifier)
    accuracy = test_accuracy(test, partial(forward.compute_logits, model.classifier))
    forms = [measure_form("checkpoint", weight_files(folder), compute, expected, accuracy)]
    for path in written:
        session = onnx.Session(path).logits
        files = sorted(path.parent.glob(f"{path.name}*"))  # weights of more than 2 GB lie beside it
        forms.append(measure_form(path.name, files, session, expected, test_accuracy(test, session)))
    return forms


def test_accuracy(test: TestData | None, compute: LogitsFunction) -> float | None:
    return None if test is None else test.accuracy(compute)


def summarise(forms: Sequence[Measurements], test: TestData | None) -> dict[str, object]:
    """Return the content of export.json."""
    return {
        "forms": [asdict(form) for form in forms],
        "provenance": test and test.provenance.to_report(),
        "environment": describe_environment("export"),
    }


def print_table(forms: Sequence[Measurements], test: TestData | None) -> None:
    """Print the forms of the model side by side, and the protocol of their accuracy."""
    table = Table(box=SIMPLE)
    for column in ("", "MB", "off: logits", "off: prob.", "ms", "accuracy"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for form in forms:
        right = "-" if form.accuracy is None else f"{100 * form.accuracy:.1f} %"
        cells = [f"{form.bytes / 1e6:.1f}", f"{form.logits_difference:.1e}", f"{form.probabilities_difference:.1e}"]
        table.add_row(form.name, *cells, f"{form.milliseconds:.0f}", right)
    Console().print(table)
    print(
        f"off: the largest difference from the checkpoint; ms: one clip of {parity.SECONDS[-1]} s, "
        f"this machine's CPU, threads: {torch.get_num_threads()}"
    )
    if test is not None:
        print(f"accuracy: {test.provenance.protocol_text}")
