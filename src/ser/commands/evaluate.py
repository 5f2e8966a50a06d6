"""ser evaluate checkpoint=runs/..."""

from pathlib import Path
from typing import Any

from ser import config, console
from ser.commands.scoring import provenance, score, write_report
from ser.data.batches import collator_for
from ser.data.prepared import Prepared, ready
from ser.data.protocols import Split, identity, split
from ser.errors import UserError
from ser.locks import locked
from ser.models import checkpoint
from ser.models.arithmetic import faster_float32
from ser.models.sources import checkpoint_folder
from ser.out_of_memory import explaining_out_of_memory
from ser.results import report
from ser.results.environment import environment
from ser.runs.folder import REPORT, RunFolder

WRITTEN = (
    "report.html",
    "predictions.csv",
    "breakdown.csv",
    "confusion_matrix.csv",
    *(f"{name}{suffix}" for name in ("confusion_matrix", "speakers", "reliability") for suffix in (".png", ".pdf")),
    *(f"classification_report{suffix}" for suffix in (".txt", ".json")),
)
"""The files of an evaluation."""


def evaluate(cfg: config.Evaluate) -> None:
    """Score a checkpoint by its own protocol, from nothing but its folder and the data."""
    console.start_logging()
    console.quiet_transformers()
    faster_float32()
    folder = checkpoint_folder(cfg.checkpoint)
    stamp = checkpoint.stamp_of(folder)
    protocol, prepared, lists = trained_data(stamp, folder, cfg.root, cfg.data_dir)
    rows = lists.side(cfg.split)
    if not rows:
        raise UserError(f"split={cfg.split.value}: protocol '{protocol.name}' has no such list; choices: train, test")
    target = output_folder(cfg, folder)
    classifier, extractor = checkpoint.load(folder, prepared.emotions)
    with explaining_out_of_memory(f"lower batch_size={cfg.batch_size}"):
        scored = score(classifier, collator_for(extractor), prepared, rows, checkpoint.audio_of(stamp), cfg.batch_size)
    measured = report.measured(scored, provenance(protocol, lists, cfg.split, stamp, prepared))
    with locked(target):
        write_report(target, measured, environment("evaluate"), prepared)
    console.print_report(target)


def output_folder(cfg: config.Evaluate, checkpoint_folder: Path) -> Path:
    """Where the reports go.

    Raises:
        UserError: a run is there, whose own report would be lost, or a file of the user's that would be replaced.
    """
    if cfg.output_dir is not None:
        target = Path(cfg.output_dir)
        if RunFolder(target).is_run():
            raise UserError(f"output_dir={target}: a run is here; give another output_dir")
        there = [name for name in WRITTEN if (target / name).exists()]
        if there and not (target / REPORT).is_file():
            raise UserError(f"output_dir={target}: {there[0]} is here and of no evaluation; give another output_dir")
        return target
    return beside(checkpoint_folder, f"evaluation-{cfg.split.value}")


def beside(checkpoint_folder: Path, name: str) -> Path:
    """A folder in the run of a checkpoint, or beside a checkpoint by itself."""
    own = checkpoint_folder.resolve().name
    prefix = "" if own == "checkpoint" else f"{own}-"
    return checkpoint_folder.resolve().parent / f"{prefix}{name}"


def trained_data(
    stamp: dict[str, Any], folder: Path, root: str | None, data_dir: str | None
) -> tuple[config.Protocol, Prepared, Split]:
    """The protocol, the corpus and the lists that a checkpoint was trained and tested on.

    Raises:
        UserError: the data are not here, or are others.
    """
    protocol = trained_protocol(stamp)
    prepared = ready(config.Corpus(stamp["corpus"]), protocol, root, data_dir or default_data_dir(stamp))
    lists = split(prepared.utterances, protocol)
    check_lists(stamp, protocol, lists, folder)
    return protocol, prepared, lists


def default_data_dir(stamp: dict[str, Any]) -> str:
    return f"data/{stamp['corpus']}"


def trained_protocol(stamp: dict[str, Any]) -> config.Protocol:
    """The protocol that a checkpoint was trained under."""
    values = dict(stamp["protocol"])
    for key in ("test_speakers", "test_statements", "named_validation_speakers"):
        values[key] = {int(fold): value for fold, value in values[key].items()}  # JSON has made texts of them
    return config.Protocol(**values)


def check_lists(stamp: dict[str, Any], protocol: config.Protocol, lists: Split, folder: Path) -> None:
    """Raise a UserError where the data are not those that the checkpoint was trained and tested on."""
    now = identity(protocol, lists)
    if changed := [key for key, value in stamp["identity"].items() if now[key] != value]:
        raise UserError(
            f"{folder}: the data differ from those it was trained with ({', '.join(changed)}); "
            "its number would not be its protocol's"
        )
