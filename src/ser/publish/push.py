"""Push a finished run to the hub, by itself or at the end of training."""

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
    """Push the checkpoint of a finished run to the hub, with a card that reports its protocol."""
    hub.check_name(cfg.repo)
    folder = find_checkpoint(cfg.checkpoint)
    run = repository.read_finished_run(folder)
    files = repository.collect_files(run, folder, cfg.repo)
    if cfg.dry_run:
        target = Path(cfg.output_dir) if cfg.output_dir is not None else run.folder / "push"
        with locked(target):
            repository.write_files(target, files)
        log.info("dry run, nothing is pushed; the files of %s: %s", cfg.repo, ", ".join(files))
        print(target)
        return
    hub.check_login(cfg.repo)
    log.info("pushing to %s: %s", cfg.repo, ", ".join(files))
    if console.stderr.is_terminal:
        enable_progress_bars()
    print(hub.push_files(files, cfg.repo, cfg.private))


def check_before_training(cfg: config.Hub, plan: Sequence[config.Train]) -> None:
    """Check name and login before training, so that hours of it do not end with a refusal.

    Raises:
        UserError: see `ser.publish.hub`; or the command plans several runs.
    """
    repo = str(cfg.repo)
    if len(plan) > 1:
        one = f"`ser push checkpoint={plan[0].output_dir} repo={repo}`"
        raise UserError(f"hub.push=true needs a single run; this command plans {len(plan)}. Push one later: {one}")
    hub.check_name(repo)
    hub.check_login(repo)


def push_finished(cfg: config.Hub, folder: Path) -> None:
    """Push at the end of training; the run stays, whatever the hub answers."""
    repo = str(cfg.repo)
    try:
        push_run(config.Push(str(folder), repo, cfg.private, dry_run=False))
    except UserError as error:
        again = f"ser push checkpoint={folder} repo={repo}{'' if cfg.private else ' private=false'}"
        raise UserError(f"{folder} is finished but not pushed: {error}; `{again}` pushes it") from error
