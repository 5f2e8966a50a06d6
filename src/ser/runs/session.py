"""Open the folder of a run: config, log, and clean-up after a failure or an interruption."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from ser import config
from ser.config import AUTO
from ser.console import logging_to
from ser.errors import Interrupted, UserError
from ser.files import make_parents, write_errors_explained
from ser.runs.folder import RunFolder
from ser.runs.settings import write_config

log = logging.getLogger("ser")

BEFORE_TRAINING = "interrupted before training, and no run has changed; give the same command again"
"""What to type then: with `resume=true` in place of `overwrite=true` the earlier run would go on."""


@contextmanager
def open_run(run: RunFolder, cfg: config.Train) -> Iterator[None]:
    """Write config and log during the run; remove the folder of a run that failed before it began.

    Raises:
        Interrupted: Ctrl-C or a signal; its line says how to go on, and is in the log as well.
    """
    began, there = run.is_run(), run.path.is_dir()
    with ExitStack() as stack:
        with write_errors_explained(run.path):
            stack.enter_context(make_parents(run.path))
            run.path.mkdir(exist_ok=True)
        try:
            write_config(run.path, cfg)
            with logging_to(run.log), log_failures(cfg):
                yield
        except UserError:
            if not began and not run.has_checkpoints():
                run.clear()
                if not there:
                    run.path.rmdir()
            raise


@contextmanager
def log_failures(cfg: config.Train) -> Iterator[None]:
    """Write the error that ends a run into its log; the command line prints it."""
    try:
        with explain_interruption(how_to_resume(cfg)):
            yield
    except (UserError, Interrupted) as error:
        log.error("%s", error, extra={"file_only": True})
        raise
    except Exception:
        log.exception("the run failed", extra={"file_only": True})
        raise


@contextmanager
def explain_interruption(line: str) -> Iterator[None]:
    """Turn Ctrl-C, SIGTERM and SIGUSR1 into one line that says how to resume.

    Raises:
        Interrupted: with this line; one that is raised inside keeps its own.
    """
    try:
        yield
    except Interrupted:
        raise
    except KeyboardInterrupt as error:
        raise Interrupted(line) from error


def how_to_resume(cfg: config.Train) -> str:
    """Return the line that says how to resume after an interruption."""
    return f"interrupted; {command_to_resume(cfg)}"


def command_to_resume(cfg: config.Train) -> str:
    """Return what to type to go on with a run that did not end."""
    if cfg.resume == AUTO:
        return f"the same command goes on with {cfg.output_dir}"
    instead = " instead of overwrite=true" if cfg.overwrite else ""
    return f"the same command with resume=true{instead} goes on with {cfg.output_dir}"
