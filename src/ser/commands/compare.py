"""ser compare runs=runs/*"""  # noqa: D415

import logging
import os
from glob import glob
from pathlib import Path

from ser import config, console
from ser.comparison import blocks as comparison
from ser.comparison import tables
from ser.errors import UserError
from ser.locks import locked
from ser.runs import finished
from ser.runs.finished import Run
from ser.runs.folder import RunFolder

log = logging.getLogger("ser")


def compare(cfg: config.Compare) -> None:
    """Compare finished runs: Table III of the paper, with intervals and paired tests."""
    console.start_logging()
    target = Path(cfg.output_dir)
    tables.check_place(target)
    blocks = comparison.group_runs(find_runs(cfg.runs))
    with locked(target):
        tables.write(target, blocks, cfg.published)
    print((target / "comparison.md").read_text(encoding="utf-8"))
    print(target / "comparison.html")


def find_runs(given: list[str]) -> list[Run]:
    """Find runs by their folders, folders that contain some, or patterns of either.

    Raises:
        UserError: a name or pattern matches no finished run.
    """
    folders: dict[Path, None] = {}
    for text in given:
        matches = [Path(text)] if os.path.lexists(text) else [Path(path) for path in sorted(glob(text))]
        inside = [folder for match in matches for folder in finished_runs(match)]
        if not inside:
            raise UserError(f"runs={text}: no finished run {'in it' if matches else 'there'}")
        folders.update(dict.fromkeys(inside))
    return [finished.read(folder) for folder in folders]


def finished_runs(folder: Path) -> list[Path]:
    """Return the folder if it is a finished run (or several that were pooled), else the finished runs below it."""
    run = RunFolder(folder)
    candidates = [run] if run.is_run() else run.below()
    for one in candidates:
        if not one.is_finished():
            log.warning("warning: not finished, skipped: %s", one.path)
    return [one.path for one in candidates if one.is_finished()]
