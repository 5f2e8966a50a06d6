"""ser predict checkpoint=runs/... audio=FILE"""  # noqa: D415

import logging
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ser import config, console
from ser.config import Engine
from ser.data.audio import TOO_SHORT
from ser.data.containers import UnreadableAudio
from ser.data.engines import MapInOrder, open_engine
from ser.data.parallel import count_threads
from ser.data.streams import WavFormat
from ser.errors import UserError
from ser.inference.blocks import ADVICE, Block, predict_sliding, predict_whole, window_and_hop
from ser.inference.distributed import predict_on_workers
from ser.inference.embeddings_file import open_embeddings
from ser.inference.finished_output import count_errors
from ser.inference.journal import Journal, settings_of
from ser.inference.output import Output, json_line, open_output
from ser.inference.output_format import OutputFormat
from ser.inference.predictions import WindowPrediction
from ser.inference.predictor import Predictor, prepare_pytorch
from ser.inference.recordings import Recordings, resolve
from ser.inference.summary import MAX_ROWS, Summary
from ser.inference.target import Target, reserve_embeddings, reserve_output
from ser.inference.timeline_folder import TimelineFolder, reserve_timelines
from ser.inference.windows import predict_windows, read_stream
from ser.out_of_memory import explaining_out_of_memory
from ser.wording import counted

log = logging.getLogger("ser")


@dataclass(frozen=True)
class Targets:
    """The files of a command, reserved before anything is computed."""

    output: Target | None
    embeddings: Path | None
    overwrite: bool
    resumes: bool
    """Whether an unfinished output is continued."""


def predict(cfg: config.Predict) -> None:
    """Predict recordings by name; one that cannot be read does not stop the others.

    Raises:
        UserError: something is in the way of what is written; or, at the end, a recording has no prediction.
    """
    console.start_logging()
    prepare_pytorch(cfg.checkpoint)
    if cfg.audio == "-":
        predict_live(cfg)
        return
    check_output_is_not_read(cfg)
    with reserve_targets(cfg) as targets:
        if cfg.resume and targets.output is not None and targets.output.is_finished:
            leave_finished(targets.output)
            return
        predict_files(cfg, targets, resolve(cfg.audio, cfg.root))


def leave_finished(output: Target) -> None:
    """Say that an output is finished; its errors end this command as they ended the one that wrote it.

    Raises:
        UserError: recordings in it have an error.
    """
    output.journal.unlink(missing_ok=True)  # of a command that was killed as it ended
    if failed := count_errors(output):
        raise UserError(
            f"output={output.path}: it is finished, and {counted(failed, 'recordings')} could not be read to "
            f"{'its' if failed == 1 else 'their'} end; overwrite=true predicts all of them again"
        )
    log.info("output=%s: it is finished, and nothing is left to do", output.path)


def predict_files(cfg: config.Predict, targets: Targets, recordings: Recordings) -> None:
    """Predict recordings into the targets, and print a summary."""
    with reserve_timelines(cfg.timeline, recordings, cfg.overwrite or targets.resumes) as timelines:
        predictor = open_predictor(cfg)
        output_format = OutputFormat.from_predictor(predictor)
        journal = open_journal(cfg, targets, predictor, recordings)
        done = journal.done.recordings
        summary = Summary(output_format, cfg.window is not None, None if targets.output is None else MAX_ROWS)
        try:
            with (
                explaining_out_of_memory(ADVICE.format(cfg.batch_size)),
                open_engine(cfg.engine, per_task=1, threads=count_threads()) as map_in_order,
                open_writers(targets, output_format, journal) as (output, write_embedding),
                closing(predict_blocks(cfg, predictor, recordings, done, timelines, map_in_order)) as blocks,
            ):
                for block in blocks:
                    for one in block.predictions:
                        output.add(one)
                        write_embedding(one)
                        summary.add(one)
                    output.commit(block.names)
        finally:
            summary.print(journal.counts)
    for written in (None if targets.output is None else targets.output.path, targets.embeddings, cfg.timeline):
        if written is not None:
            log.info("written: %s", written)
    if failed := journal.counts.failed:
        raise UserError(f"{failed} of {len(recordings)} recordings could not be read to their end")


def predict_blocks(
    cfg: config.Predict,
    predictor: Predictor,
    recordings: Recordings,
    done: int,
    timelines: TimelineFolder | None,
    map_in_order: MapInOrder,
) -> Generator[Block, None, None]:
    """Yield the predictions of the recordings behind the first `done`."""
    if cfg.engine is Engine.ray:
        return predict_on_workers(cfg, predictor, recordings, done, timelines, map_in_order)
    if cfg.window is None:
        return predict_whole(cfg, predictor, recordings, done)
    return predict_sliding(cfg, predictor, recordings, done, timelines)


def open_journal(cfg: config.Predict, targets: Targets, predictor: Predictor, recordings: Recordings) -> Journal:
    """Return a new journal, or that of the output that is continued.

    Raises:
        UserError: The output cannot be continued by this command.
    """
    if targets.output is None:
        return Journal(None)
    journal = Journal(targets.output.journal, settings_of(cfg, predictor), replaces=cfg.overwrite)
    if targets.resumes:
        journal.load(recordings.names)
        targets.output.check_meanwhile(journal.replaces)
        log.info("%d of %d recordings are there already", journal.done.recordings, len(recordings))
    return journal


def check_output_is_not_read(cfg: config.Predict) -> None:
    """Raise a UserError where the predictions would replace what names the recordings."""
    if cfg.output is not None and Path(cfg.output).resolve() == Path(cfg.audio).resolve():
        raise UserError(f"output={cfg.output}: it is what audio= reads; give another name")


def open_predictor(cfg: config.Predict) -> Predictor:
    embeds, copies = cfg.embeddings is not None, cfg.test_time_copies
    return Predictor.from_checkpoints(cfg.checkpoint, cfg.ensemble, cfg.batch_size, embeds, copies, cfg.temperature)


@contextmanager
def reserve_targets(cfg: config.Predict) -> Iterator[Targets]:
    """Hold the locks of the files that are written."""
    with ExitStack() as stack:
        output = stack.enter_context(reserve_output(cfg.output, cfg.overwrite, cfg.resume))
        embeddings = stack.enter_context(reserve_embeddings(cfg.embeddings, cfg.overwrite))
        resumes = cfg.resume and output is not None and output.partial.exists()
        yield Targets(output, embeddings, cfg.overwrite, resumes)


@contextmanager
def open_writers(
    targets: Targets, output_format: OutputFormat, journal: Journal
) -> Iterator[tuple[Output, Callable[[WindowPrediction], None]]]:
    """Yield the output, and a function that writes the embedding of a prediction."""
    with (
        open_output(targets.output, output_format, journal) as output,
        open_embeddings(targets.embeddings, targets.overwrite) as write_embedding,
    ):
        yield output, write_embedding


def predict_live(cfg: config.Predict) -> None:
    """Predict windows of standard input as soon as they are whole, in JSON lines; to its end or Ctrl-C."""
    window, hop = window_and_hop(cfg)
    stream = standard_input()
    with reserve_targets(cfg) as targets:
        predictor = open_predictor(cfg)
        output_format, journal = OutputFormat.from_predictor(predictor), Journal(None, replaces=cfg.overwrite)
        try:
            with (
                open_writers(targets, output_format, journal) as (output, write_embedding),
                suppress(KeyboardInterrupt),
            ):
                blocks = read_stream(stream, WavFormat(cfg.sample_rate, cfg.channels))
                for one in predict_windows("-", blocks, window, hop, predictor, at_once=1):
                    output.add(one)  # first: nothing is lost where the reader of standard output is gone
                    output.commit(["-"])
                    write_embedding(one)
                    print(json_line(output_format, one), end="", flush=True)
                if not journal.counts.predictions:
                    raise UnreadableAudio(f"standard input ended without a prediction; it was empty, or {TOO_SHORT}")
        except UnreadableAudio as error:
            raise UserError(f"audio=-: {error}") from error


def standard_input() -> BinaryIO:
    """Return standard input as bytes.

    Raises:
        UserError: it is closed or a terminal.
    """
    if sys.stdin is None:
        raise UserError("audio=-: standard input is closed")
    if sys.stdin.isatty():
        raise UserError("audio=-: standard input is a terminal; pipe WAV or raw samples into it")
    return sys.stdin.buffer
