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
from ser.export.measure import Measured, measured
from ser.export.parity import Expected
from ser.export.quantize import quantize
from ser.export.session import Session
from ser.extras import check_installed
from ser.files import check_kind, replacing, write_json
from ser.locks import locked
from ser.models import checkpoint, forward
from ser.models.architectures import depends_on_padding
from ser.models.checkpoint import Checkpoint, audio_config
from ser.models.forward import LogitsFunction
from ser.models.hub import find_or_download_checkpoint, is_hub_name, weight_files
from ser.reports.provenance import Provenance, build_provenance
from ser.runs.environment import describe_environment
from ser.runs.trained_data import default_data_dir, folder_beside, load_trained_data

log = logging.getLogger("ser")

MODEL, QUANTIZED = "model.onnx", "model.int8.onnx"
MEASURED = "export.json"
"""Written last; a folder that has it is an export."""
WRITTEN = (
    MODEL,
    QUANTIZED,
    MEASURED,
    package.FILE,
    package.EXAMPLE.name,
    "trim.py",
    "mel_filters.npy",
    "__pycache__",
)
"""How the names of the files in an export begin: weights of more than 2 GB lie beside their model."""


def export(cfg: config.Export) -> None:
    """Make of a checkpoint a model for other runtimes, and show that it answers alike."""
    console.start_logging()
    console.quiet_transformers()
    check_installed("export", "onnx", "onnxruntime", "onnxscript")
    enable_onednn_fp32_matmul()
    folder = find_or_download_checkpoint(cfg.checkpoint)
    target = output_folder(cfg, folder)
    with locked(target):
        check_free(target)
        model = checkpoint.open_checkpoint(folder)
        test = test_list(cfg, folder, model)
        forms = exported(cfg, folder, target, model, test)
    print_table(forms, test)
    print(target)


def exported(
    cfg: config.Export, folder: Path, target: Path, model: Checkpoint, test: "TestList | None"
) -> list[Measured]:
    """Write all files of an export, or none, and measure the forms of the model."""
    with replacing(target, folder=True) as temporary:
        temporary.mkdir()
        written = write_models(temporary, model, cfg.quantize)
        forms = measure(folder, written, model, test)
        package.write(temporary, model, audio_config(model.stamp).trim, written[-1].name)
        write_json(temporary / MEASURED, summary(forms, test))
    return forms


def output_folder(cfg: config.Export, folder: Path) -> Path:
    """Where the model goes."""
    name = cfg.format.value
    if cfg.output_dir is not None:
        target = Path(cfg.output_dir)
    elif is_hub_name(cfg.checkpoint):
        target = Path(f"{cfg.checkpoint.split('/')[-1]}-{name}")
    else:
        target = folder_beside(folder, name)
    return target


def check_free(target: Path) -> None:
    """Raise a UserError where something else than an export of ours is, which would be lost."""
    check_kind(target, folder=True)
    there = sorted(path.name for path in target.glob("*"))
    foreign = [name for name in there if not name.startswith(WRITTEN)] or (there if MEASURED not in there else [])
    if foreign:
        raise UserError(
            f"output_dir={target}: something else than an export is here ({foreign[0]}); give another output_dir"
        )


@dataclass(frozen=True)
class TestList:
    """The list that the checkpoint's own number is about."""

    prepared: PreparedCorpus
    splits: Splits
    provenance: Provenance
    model: Checkpoint
    batch_size: int

    def accuracy(self, answer: LogitsFunction) -> float:
        """The share of right answers of any form of the model."""
        scorer = Scorer(
            answer,
            collator_for(self.model.extractor),
            audio_config(self.model.stamp).trim,
            self.batch_size,
            equal_lengths=depends_on_padding(self.model.classifier.config),
        )
        return scorer.predict(self.prepared, self.splits.test).accuracy


def test_list(cfg: config.Export, folder: Path, model: Checkpoint) -> TestList | None:
    """The test list of a checkpoint; None, and a line in the log, where it cannot be had.

    Raises:
        UserError: the data are here, but are not those of the checkpoint.
    """
    if not cfg.score:
        return None
    if not model.stamp:
        log.warning("accuracy: not measured, the checkpoint does not say what it was trained on")
        return None
    expected = Path(default_data_dir(model.stamp)) / manifest.FILE
    if cfg.root is None and cfg.data_dir is None and not expected.is_file():
        log.warning("accuracy: not measured, there is no %s; give data_dir=FOLDER or root=FOLDER", expected)
        return None
    protocol, prepared, splits = load_trained_data(model.stamp, folder, cfg.root, cfg.data_dir)
    checkpoint.check_labels(folder, model.labels, prepared.emotions)
    source = build_provenance(protocol, splits, config.Split.test, model.stamp, prepared)
    return TestList(prepared, splits, source, model, cfg.batch_size)


def write_models(folder: Path, model: Checkpoint, quantized: config.Quantize | None) -> list[Path]:
    """Write the model, and its quantized twin where that is wanted.

    Raises:
        UserError: the family cannot be exported, or the ONNX model answers otherwise than its checkpoint.
    """
    expected = Expected.of(model)
    onnx.write(model.classifier, expected.batches[-1], folder / MODEL)
    parity.check(expected, Session(folder / MODEL).logits(expected.batches))
    if quantized is None:
        return [folder / MODEL]
    quantize(folder / MODEL, folder / QUANTIZED)
    return [folder / MODEL, folder / QUANTIZED]


def measure(folder: Path, written: Sequence[Path], model: Checkpoint, test: TestList | None) -> list[Measured]:
    """The checkpoint first, then what was made of it."""
    expected = Expected.of(model)
    answer = partial(parity.on_cpu, model.classifier)
    right = test_accuracy(test, partial(forward.compute_logits, model.classifier))
    forms = [measured("checkpoint", weight_files(folder), answer, expected, right)]
    for path in written:
        session = Session(path).logits
        files = sorted(path.parent.glob(f"{path.name}*"))  # weights of more than 2 GB lie beside it
        forms.append(measured(path.name, files, session, expected, test_accuracy(test, session)))
    return forms


def test_accuracy(test: TestList | None, answer: LogitsFunction) -> float | None:
    return None if test is None else test.accuracy(answer)


def summary(forms: Sequence[Measured], test: TestList | None) -> dict[str, object]:
    """What export.json says."""
    return {
        "forms": [asdict(form) for form in forms],
        "provenance": test and test.provenance.to_report(),
        "environment": describe_environment("export"),
    }


def print_table(forms: Sequence[Measured], test: TestList | None) -> None:
    """Print the forms of the model side by side, and what their accuracy is about."""
    table = Table(box=SIMPLE)
    for column in ("", "MB", "off: logits", "off: prob.", "ms", "accuracy"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for form in forms:
        right = "-" if form.accuracy is None else f"{100 * form.accuracy:.1f} %"
        cells = [f"{form.bytes / 1e6:.1f}", f"{form.logits_difference:.1e}", f"{form.probabilities_difference:.1e}"]
        table.add_row(form.name, *cells, f"{form.milliseconds:.0f}", right)
    Console().print(table)
    print(
        f"off: by how much an answer differs at most from the checkpoint's; ms: one clip of {parity.SECONDS[-1]} s, "
        f"this machine's CPU, threads: {torch.get_num_threads()}"
    )
    if test is not None:
        print(f"accuracy: {test.provenance.protocol_text}")
