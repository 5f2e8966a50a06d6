"""ser evaluate checkpoint=runs/..."""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ser import config, console
from ser.acceleration.cpu_backend import enable_onednn_fp32_matmul
from ser.errors import UserError
from ser.evaluation.mp3 import check_mp3
from ser.experiments.elsewhere import name_of, score_elsewhere
from ser.experiments.scored import Scored
from ser.experiments.trained import score_trained
from ser.locks import locked
from ser.models.file_names import local_path
from ser.models.hub import find_checkpoint
from ser.out_of_memory import explaining_out_of_memory
from ser.reports import members, stress
from ser.reports.write import write_report
from ser.runs.environment import describe_environment
from ser.runs.folder import REPORT, RunFolder
from ser.runs.members import find_members, is_pooled
from ser.runs.trained_data import evaluation_name, folder_beside

WRITTEN = (
    "report.html",
    "predictions.csv",
    "breakdown.csv",
    "confusion_matrix.csv",
    *(f"{name}{suffix}" for name in ("confusion_matrix", "speakers", "reliability") for suffix in (".png", ".pdf")),
    *(f"classification_report{suffix}" for suffix in (".txt", ".json")),
)
"""The files of an evaluation."""
SOMETIMES = (*stress.FILES, members.FILE)
"""Those that some evaluations have."""
EVALUATIONS = Path("evaluations")
"""The folder for the reports that belong to no single run."""
LONGEST_NAME = 150
"""Characters of the names of checkpoints in that of a folder."""


def evaluate(cfg: config.Evaluate) -> None:
    """Score a checkpoint, or several together, under the protocol of its training or on a corpus of choice."""
    console.start_logging()
    console.quiet_transformers()
    enable_onednn_fp32_matmul()
    if cfg.stress:
        check_mp3()
    if cfg.corpus is not None:
        return write(cfg, elsewhere_folder(cfg), partial(score_elsewhere, cfg))
    found = find_members(cfg.checkpoint, cfg.split.value)
    return write(cfg, evaluation_folder(cfg), partial(score_trained, cfg, found))


def write(cfg: config.Evaluate, target: Path, score: Callable[[], Scored]) -> None:
    """Score, write the report into a folder, and print it."""
    check_place(cfg, target)
    with explaining_out_of_memory(f"lower batch_size={cfg.batch_size}"):
        scored = score()
    built = scored.build_report()
    with locked(target):
        write_report(target, built, describe_environment("evaluate"), scored.prepared)
    console.print_report(target)


def check_place(cfg: config.Evaluate, target: Path) -> None:
    """Raise a UserError where a run is, or a file that no evaluation wrote and that would be replaced."""
    if cfg.output_dir is None:
        return
    if RunFolder(target).is_run():
        raise UserError(f"output_dir={target}: a run is here; give another output_dir")
    there = [name for name in (*WRITTEN, *SOMETIMES) if (target / name).exists()]
    if there and not (target / REPORT).is_file():
        raise UserError(f"output_dir={target}: {there[0]} is here, from no evaluation; give another output_dir")


def elsewhere_folder(cfg: config.Evaluate) -> Path:
    """Return the folder of the reports on a corpus of choice."""
    if cfg.output_dir is not None:
        return Path(cfg.output_dir)
    assert cfg.corpus is not None
    given = cfg.checkpoint or [str(cfg.predictions)]
    protocol = [cfg.protocol.name, cfg.split.value] if cfg.protocol else []
    return EVALUATIONS / "-".join([join_names(given), "on", cfg.corpus.name, *protocol, short_hash(given)])


def evaluation_folder(cfg: config.Evaluate) -> Path:
    """Return the folder of the reports: in the run, or for several runs in `evaluations`."""
    first, name = cfg.checkpoint[0], evaluation_name(cfg.split)
    if cfg.output_dir is not None:
        return Path(cfg.output_dir)
    if len(cfg.checkpoint) > 1:
        return EVALUATIONS / "-".join([join_names(cfg.checkpoint), cfg.split.value, short_hash(cfg.checkpoint)])
    return local_path(first) / name if is_pooled(first) else folder_beside(find_checkpoint(first), name)


def join_names(given: Sequence[str]) -> str:
    """Return the names of checkpoints in one, short enough for a folder.

    >>> join_names(["runs/a", "runs/b"]), join_names(["x" * 200, "y" * 200])[-7:]
    ('a+b', '+1 more')
    """
    names = "+".join(map(name_of, given))
    return names if len(names) <= LONGEST_NAME else f"{name_of(given[0])[:LONGEST_NAME]}+{len(given) - 1} more"


def short_hash(given: Sequence[str]) -> str:
    """Return six digits that tell checkpoints apart whose folders have equal names."""
    places = [str(Path(one).resolve()) if Path(one).exists() else one for one in given]
    return hashlib.sha256("\0".join(places).encode()).hexdigest()[:6]
