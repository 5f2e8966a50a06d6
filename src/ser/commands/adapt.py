"""ser adapt checkpoint=runs/... --audio FOLDER"""  # noqa: D415

import json
import logging
from pathlib import Path

from ser import config, console
from ser.acceleration.cpu_backend import enable_onednn_fp32_matmul
from ser.errors import UserError
from ser.inference import adaptation
from ser.inference.checkpoint_member import CheckpointMember
from ser.locks import locked
from ser.models import checkpoint
from ser.models.hub import find_or_download_checkpoint, is_hub_name
from ser.models.stamp import ADAPTED, STAMP
from ser.out_of_memory import explaining_out_of_memory
from ser.runs.trained_data import folder_beside

log = logging.getLogger("ser")


def adapt(cfg: config.Adapt) -> None:
    """Write a checkpoint that is adapted to the recordings of one speaker."""
    console.start_logging()
    console.quiet_transformers()
    enable_onednn_fp32_matmul()
    folder = find_or_download_checkpoint(cfg.checkpoint)
    target = output_folder(cfg, folder)
    with locked(target):
        check_free(target, cfg.overwrite)
        opened = checkpoint.open_checkpoint(folder)
        if ADAPTED in opened.stamp:
            raise UserError(
                f"checkpoint={cfg.checkpoint}: it is adapted to a voice; give the one that it was made from"
            )
        member = CheckpointMember.from_opened(cfg.checkpoint, folder, opened)
        voice = adaptation.read_voice(cfg, opened.labels)
        with explaining_out_of_memory(f"lower batch_size={cfg.batch_size}"):
            found = adaptation.adapt(member, voice, cfg)
        adaptation.install(opened.classifier, found.head)
        checkpoint.save(opened.classifier, opened.extractor, target, {**opened.stamp, ADAPTED: found.stamp})
    log.info("%s", adaptation.describe(voice, found, opened.labels))
    print(target)


def output_folder(cfg: config.Adapt, folder: Path) -> Path:
    """Return the folder of the adapted checkpoint."""
    if cfg.output_dir is not None:
        return Path(cfg.output_dir)
    name = f"adapted-{Path(cfg.audio).resolve().stem}"
    if is_hub_name(cfg.checkpoint):
        return Path(f"{cfg.checkpoint.split('/')[-1]}-{name}")
    return folder_beside(folder, name)


def is_adapted(folder: Path) -> bool:
    """Return whether a folder holds an adapted checkpoint."""
    try:
        settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return ADAPTED in settings.get(STAMP, {})


def check_free(target: Path, overwrite: bool) -> None:
    """Raise a UserError where the folder is there and holds no adapted checkpoint, or must not be replaced."""
    if not target.exists():
        return
    if not is_adapted(target):
        raise UserError(f"output_dir={target}: something else than an adapted checkpoint is here; give another one")
    if not overwrite:
        raise UserError(f"output_dir={target}: an adapted checkpoint is here; overwrite=true replaces it")
