"""What a repository will hold: the checkpoint, its card, and the measurements that the card rests on."""

import json
import shutil
from pathlib import Path
from typing import Any

from ser.errors import UserError
from ser.files import replacing
from ser.models import checkpoint
from ser.models.hub import CONFIG, looks_like_hub_name, weight_files
from ser.publish.card import card
from ser.publish.redact import last_part, without_places
from ser.runs import finished
from ser.runs.finished import Run
from ser.runs.folder import REPORT

Parcel = dict[str, bytes | Path]
"""By name in the repository: what is written for it, or a file that goes as it is."""
CONFUSIONS = "confusion_matrix.png"


def finished_run(folder: Path) -> Run:
    """The run behind a checkpoint folder.

    Raises:
        UserError: there is none, so that there is nothing to say of the checkpoint; or its report is about another.
    """
    if folder.resolve().name != "checkpoint":
        raise UserError(f"checkpoint={folder}: no finished run, so no number stands behind it; give a run folder")
    run, stamp = finished.read(folder.resolve().parent), checkpoint.stamp_of(folder)
    if not finished.is_about(run.report, stamp):
        raise UserError(f"checkpoint={folder}: the report beside it is about another checkpoint")
    return run


def packed(run: Run, folder: Path, repo: str) -> Parcel:
    """Everything that is sent, with no local path in it; lists of clips, logs and predictions stay at home."""
    settings = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    stamp = settings[checkpoint.STAMP]
    text = card(run, stamp, repo, carries_code="auto_map" in settings)
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
        CONFIG: as_json(without_places(settings)),
        REPORT: as_json(without_places(run.report)),
        **{path.name: path for path in sorted(files)},
    }


def as_json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def write(folder: Path, parcel: Parcel) -> None:
    """Write what would be sent, over what was written there before.

    Raises:
        UserError: the folder holds something else: what would not be sent, or a file of the user's own.
    """
    there = {path.name for path in folder.glob("*")}
    if foreign := sorted(there - parcel.keys()):
        raise UserError(f"output_dir={folder}: it holds {foreign[0]}, which would not be sent; give another output_dir")
    if there and CONFIG not in there:
        mine = ", ".join(sorted(there))
        raise UserError(f"output_dir={folder}: {mine} is here and would be replaced; give another output_dir")
    for name, content in parcel.items():
        with replacing(folder / name) as temporary:
            if isinstance(content, bytes):
                temporary.write_bytes(content)
            else:
                shutil.copyfile(content, temporary)
