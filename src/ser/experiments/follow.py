"""The other processes of a training: they wait for the orders of the first one, and train along."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from ser import config, console, ending, error_line, processes
from ser.data.groups import resolve_protocol
from ser.data.prepared_corpus import PreparedCorpus, open_prepared
from ser.data.protocols import Splits, identify_splits, split_corpus
from ser.errors import FailedElsewhereError, UserError
from ser.processes import DONE, FAILED, Group, Order
from ser.runs.session import command_to_resume
from ser.training.build import build_trainer
from ser.training.callbacks import add_callbacks
from ser.training.model import build_model
from ser.training.preemption import StopOnSignal, asked_anywhere
from ser.training.process_batches import StepShare

log = logging.getLogger("ser")


def start_followers(cfg: config.Train, folder: Path, splits: Splits, checkpoint: Path | None) -> None:
    """Let the other processes begin a run, and wait until they can.

    Args:
        cfg: The config of the run.
        folder: The folder for its checkpoints.
        splits: Its splits, which the other processes must find as well.
        checkpoint: The checkpoint to continue from; None: from the start.

    Raises:
        UserError: One of them cannot begin.
    """
    if (group := processes.current()).size == 1:
        return
    share = StepShare.from_recipe(cfg.trainer, group.size)
    batches = f"{share.forwards} batches of {share.size}" if share.forwards > 1 else f"{share.size}"
    log.info("%d processes train together, each with %s of the %d clips of a step", group.size, batches, share.step)
    group.send(
        processes.RUN,
        seed=cfg.seed,
        fold=cfg.protocol.fold,
        folder=str(folder.resolve()),
        checkpoint=str(checkpoint.resolve()) if checkpoint else None,
        splits=identify_splits(cfg.protocol, splits),
    )
    group.wait_until_ready()


def follow(cfg: config.Train, group: Group) -> float:
    """Train along with the first process, run by run.

    Returns:
        NaN; the first process has the result.

    Raises:
        FailedElsewhereError: The first process has ended with an error, which it prints.
    """
    error_line.stay_silent()
    logging.getLogger("ser").handlers = [logging.NullHandler()]
    while (order := group.receive())["kind"] == processes.RUN:
        train_along(cfg, order, group)
    if order["kind"] == FAILED:
        raise FailedElsewhereError("another process has ended with an error")
    assert order["kind"] == DONE
    return float("nan")


def train_along(cfg: config.Train, order: Order, group: Group) -> None:
    """Train one run together with the first process, which writes it."""
    folder, checkpoint = Path(order["folder"]), order["checkpoint"]
    with ExitStack() as stack:
        try:
            prepared = open_prepared(cfg.data_dir, cfg.corpus)
            run = configure(cfg, order, prepared)
            splits = split_corpus(prepared.utterances, run.protocol, run.trainer.choose)
            check_same_files(run, order, splits)
            model = build_model(run, prepared.emotions)
            trainer, cost = stack.enter_context(build_trainer(run, model, prepared, splits, folder))
        except Exception as error:
            group.report_ready(processes.describe_failure(error, group.rank))
            raise FailedElsewhereError("the first process prints the reason") from error
        add_callbacks(trainer, cost, console.bar())
        group.report_ready()
        with fail_once(group), processes.explain_lost_process(command_to_resume(run)), ending.deferred() as asked:
            trainer.add_callback(StopOnSignal(asked_anywhere(asked)))
            with wait_for_checkpoint(group):
                trainer.train(resume_from_checkpoint=checkpoint)


def configure(cfg: config.Train, order: Order, prepared: PreparedCorpus) -> config.Train:
    """Return the config of an ordered run, as the first process has it; it alone tracks."""
    protocol = replace(cfg.protocol, fold=order["fold"])
    if protocol.group is not None:
        protocol = resolve_protocol(prepared.utterances, protocol)
    tracking = replace(cfg.tracking, name=config.Tracker.none)
    return replace(cfg, seed=order["seed"], seeds=[order["seed"]], protocol=protocol, tracking=tracking)


def check_same_files(cfg: config.Train, order: Order, splits: Splits) -> None:
    """Check that this process sees the files of the first one.

    Raises:
        UserError: The folder of the run is not there, or the corpus has other recordings.
    """
    if not Path(order["folder"]).is_dir():
        raise UserError(f"{order['folder']}: it is not there; all machines need the same files under the same paths")
    if identify_splits(cfg.protocol, splits) != order["splits"]:
        raise UserError(f"data_dir={cfg.data_dir}: its recordings are not those of the first process")


@contextmanager
def wait_for_checkpoint(group: Group) -> Iterator[None]:
    """End after the first process where a signal ends training: it may still write the checkpoint, in a thread."""
    try:
        yield
    except KeyboardInterrupt:
        group.receive()
        raise


@contextmanager
def fail_once(group: Group) -> Iterator[None]:
    """Print the error of this process unless another one has failed before.

    Raises:
        FailedElsewhereError: Whatever the error was; nothing else is printed.
    """
    try:
        yield
    except Exception as error:
        if group.is_first_to_fail():
            error_line.say(processes.describe_failure(error, group.rank))
        raise FailedElsewhereError("this process has printed the reason, or another one") from error
