"""Experiment trackers for a run; the run folder is complete without them."""

import logging
import netrc
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from ser.config import Tracker, Tracking
from ser.errors import UserError
from ser.garbage import keep_imported

log = logging.getLogger("ser")

WANDB_HOST = "api.wandb.ai"
WANDB_MODES = ("online", "offline", "disabled", "shared", "dryrun", "run")
PATIENCE = 600.0
"""Time limit in seconds for wandb to send the rest of a finished run."""


def import_tracker(tracking: Tracking) -> None:
    """Import the tracker; call it before PyTorch is imported.

    wandb makes classes that read their own source. Python then looks through all imported modules, for each class: a
    second where PyTorch and transformers are among them.
    """
    if tracking.name is Tracker.wandb:
        with keep_imported():
            import_module("wandb.apis.public")  # what `wandb.init` imports


@contextmanager
def track(tracking: Tracking, folder: Path, settings: dict[str, Any]) -> Iterator[None]:
    """Open and close the tracker; the Trainer's own callback writes to the open tracker."""
    if tracking.name is Tracker.tensorboard:
        os.environ["TENSORBOARD_LOGGING_DIR"] = str(folder / "tensorboard")
    if tracking.name is Tracker.trackio:
        log.info("tracking: trackio; show the curves: trackio show --project %s", tracking.project)
    if tracking.name is not Tracker.wandb:
        yield
        return
    import wandb

    final = Path(settings["output_dir"])  # `folder` is inside it while an older run exists there
    mode = os.environ.get("WANDB_MODE") or ("online" if logged_in() else "offline")
    if mode not in WANDB_MODES:
        raise UserError(f"WANDB_MODE={mode}: choices: {', '.join(WANDB_MODES[:3])}")
    log.info("tracking: wandb %s%s", mode, "" if mode != "offline" else f"; send it later: wandb sync {final}/wandb/*")
    try:
        run = wandb.init(
            project=tracking.project,
            name=run_name(final),
            dir=folder,
            config=settings,
            mode=mode,  # type: ignore[arg-type]
            settings=wandb.Settings(silent=True, console="off"),
        )
    except (wandb.errors.Error, ValueError) as error:  # ValueError: an invalid setting in the environment
        text = " ".join(str(error).split())
        raise UserError(
            f"tracking=wandb: {text}; choices: tracking=none, tracking=tensorboard, or WANDB_MODE=offline"
        ) from error
    finished = False
    try:
        yield
        finished = True
    finally:
        finish(run, exit_code=0 if finished else 1)


def run_name(output_dir: str | Path) -> str:
    """Return the name of a run in a tracker: the last two parts of its folder, since a fold is only called `fold3`."""
    return "/".join(Path(output_dir).parts[-2:])


def finish(run: Any, exit_code: int) -> None:
    """Close a run of wandb; if wandb fails or hangs, log a warning and continue, so that results are written."""

    def close() -> None:
        try:
            run.finish(exit_code=exit_code)
        except Exception as error:  # any error of wandb: the results of the training must still be written
            log.warning(
                "wandb did not take the end of the run (%s): %s", type(error).__name__, " ".join(str(error).split())
            )

    thread = threading.Thread(target=close, daemon=True)  # the process does not wait for it
    thread.start()
    thread.join(PATIENCE)
    if thread.is_alive():
        log.warning("wandb has not sent the rest of the run in %.0f s; send it later: wandb sync", PATIENCE)


def logged_in() -> bool:
    """Return whether wandb has a key, in the environment or in the file of `wandb login`.

    wandb's own look-up, `wandb.api.api_key`, is deprecated, and `wandb.login` may prompt for a key.
    """
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = os.environ.get("WANDB_BASE_URL", f"https://{WANDB_HOST}").split("://")[-1].strip("/")
    file = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    if not file.is_file():
        return False
    try:
        return netrc.netrc(file).authenticators(host) is not None
    except netrc.NetrcParseError:
        return False
