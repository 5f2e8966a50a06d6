"""Where a pretrained checkpoint comes from: a local folder, the cache of the hub, or the hub itself."""

import logging
from pathlib import Path
from typing import Any

from ser.errors import UserError

log = logging.getLogger("ser")

WEIGHTS = "model.safetensors"


def fetched(from_pretrained: Any, source: str, **options: Any) -> Any:
    """Call the library's loader; what it says in a page when a checkpoint cannot be had is said in a line.

    Raises:
        UserError: no such folder, no such repository, no network, or a broken file.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        check_folder(folder)
        source = str(folder)
    elif source.startswith((".", "/", "~")) or source.count("/") != 1:
        raise UserError(f"model.pretrained={source}: there is no such folder, and no hub name looks like this")
    else:
        log.info("%s: from the local cache, or else from the hub", source)
    try:
        return from_pretrained(source, **options)
    except OSError as error:
        reason = " ".join(str(error).split()).split(". ")[0]
        raise UserError(
            f"{source}: not in the local cache, and the hub does not give it ({reason}); "
            "give a local folder with model.pretrained=PATH"
        ) from error


def check_folder(folder: Path) -> None:
    """Raise a UserError unless the folder has the two files that every checkpoint has."""
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder}: no checkpoint, it has no config.json")
    weights = [*folder.glob("model*.safetensors"), *folder.glob("pytorch_model*.bin")]
    if not weights:
        raise UserError(f"{folder}: no checkpoint, it has no {WEIGHTS}")
