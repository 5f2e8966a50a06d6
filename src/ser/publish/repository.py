"""The files of a repository: the checkpoint, its card and the report that the card quotes."""

import json
import shutil
from pathlib import Path
from typing import Any

from ser.errors import UserError
from ser.files import replacing
from ser.models import checkpoint
from ser.models.file_names import CONFIG
from ser.models.hub import looks_like_hub_name, weight_files
from ser.models.stamp import STAMP
from ser.publish.card import render_card
from ser.publish.redact import last_part, redact_paths
from ser.runs import finished, reading
from ser.runs.finished import Run
from ser.runs.folder import REPORT

RepoFiles = dict[str, bytes | Path]
"""By name in the repository: the content, or a file that is copied."""
CONFUSIONS = "confusion_matrix.png"


def read_finished_run(folder: Path) -> Run:
    """Read the run of a checkpoint folder.

    Raises:
        UserError: there is no finished run, or its report is about another checkpoint.
    """
    if folder.resolve().name != "checkpoint":
        raise UserError(f"checkpoint={folder}: no finished run, so no number stands behind it; give a run folder")
    run, stamp = finished.read(folder.resolve().parent), checkpoint.stamp_of(folder)
    if not reading.is_about(run.report, stamp):
        raise UserError(f"checkpoint={folder}: the report beside it is about another checkpoint")
    return run


def collect_files(run: Run, folder: Path, repo: str) -> RepoFiles:
    """Return the files that are pushed, without local paths; splits, logs and predictions are not among them."""
    settings = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    stamp = settings[STAMP]
    text = render_card(run, stamp, repo, carries_code="auto_map" in settings)
    if stamp["pretrained"] is not None and not looks_like_hub_name(stamp["pretrained"]):
        stamp["pretrained"] = last_part(stamp["pretrained"])
    files = [
        folder / "preprocessor_config.json",
        *weight_files(folder),
        *folder.glob("*.index.json"),
        *folder.glob("*.py"),
    ]
    files.append(run.folder / CONFUSIONS)
    return {
        "README.md": text.encode(),
        CONFIG: as_json(redact_paths(settings)),
        REPORT: as_json(redact_paths(run.report)),
        **{path.name: path for path in sorted(files)},
    }


def as_json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def write_files(folder: Path, files: RepoFiles) -> None:
    """Write the files into a folder, over those of an earlier dry run.

    Raises:
        UserError: the folder holds a file that would not be pushed, or one of the user's.
    """
    there = {path.name for path in folder.glob("*")}
    if foreign := sorted(there - files.keys()):
        raise UserError(
            f"output_dir={folder}: it holds {foreign[0]}, which would not be pushed; give another output_dir"
        )
    if there and CONFIG not in there:
        mine = ", ".join(sorted(there))
        raise UserError(f"output_dir={folder}: {mine} is here and would be replaced; give another output_dir")
    for name, content in files.items():
        with replacing(folder / name) as temporary:
            if isinstance(content, bytes):
                temporary.write_bytes(content)
            else:
                shutil.copyfile(content, temporary)
