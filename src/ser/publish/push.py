"""Send a finished run to the hub, by itself or at the end of training."""

import logging
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub.utils import enable_progress_bars  # type: ignore[attr-defined]

from ser import config, console
from ser.errors import UserError
from ser.locks import locked
from ser.models.hub import find_checkpoint
from ser.publish import hub, repository

log = logging.getLogger("ser")


def push_run(cfg: config.Push) -> None:
    """Send the checkpoint of a finished run to the hub, with a card that says what its number is worth."""
    hub.check_name(cfg.repo)
    folder = find_checkpoint(cfg.checkpoint)
    run = repository.finished_run(folder)
    files = repository.packed(run, folder, cfg.repo)
    if cfg.dry_run:
        target = Path(cfg.output_dir) if cfg.output_dir is not None else run.folder / "push"
        with locked(target):
            repository.write(target, files)
        log.info("nothing is sent; %s would be: %s", cfg.repo, ", ".join(files))
        print(target)
        return
    hub.check_login(cfg.repo)
    log.info("sending to %s: %s", cfg.repo, ", ".join(files))
    if console.stderr.is_terminal:
        enable_progress_bars()
    print(hub.send(files, cfg.repo, cfg.private))


def check_before_training(cfg: config.Hub, plan: Sequence[config.Train]) -> None:
    """Try name and login before training touches anything: a night of it is not to end with a refusal.

    Raises:
        UserError: see `ser.publish.hub`; or there are several runs, and a repository holds one.
    """
    repo = str(cfg.repo)
    if len(plan) > 1:
        one = f"`ser push checkpoint={plan[0].output_dir} repo={repo}`"
        raise UserError(f"hub.push=true: these are {len(plan)} runs, a repository holds one; push one later: {one}")
    hub.check_name(repo)
    hub.check_login(repo)


def push_finished(cfg: config.Hub, folder: Path) -> None:
    """Push at the end of training; whatever the hub says, the run stays."""
    repo = str(cfg.repo)
    try:
        push_run(config.Push(str(folder), repo, cfg.private, dry_run=False))
    except UserError as error:
        again = f"ser push checkpoint={folder} repo={repo}{'' if cfg.private else ' private=false'}"
        raise UserError(f"{folder} is finished but not sent: {error}; `{again}` sends it") from error
