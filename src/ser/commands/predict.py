"""ser predict checkpoint=runs/... audio=FILE"""  # noqa: D415

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ser import config, console
from ser.acceleration.cpu_backend import enable_onednn_fp32_matmul, limit_onednn_cache
from ser.data import audio
from ser.data.audio import SAMPLE_RATE, TOO_SHORT, Int16, UnreadableAudio
from ser.data.parallel import in_threads
from ser.data.streams import WavFormat
from ser.errors import UserError
from ser.files import printable
from ser.inference.embeddings_file import open_embeddings
from ser.inference.output import Write, json_line, open_writer, reserve
from ser.inference.output_format import OutputFormat
from ser.inference.predictions import WindowPrediction, average
from ser.inference.predictor import Predictor
from ser.inference.recordings import Recording, resolve
from ser.inference.summary import MAX_ROWS, Summary, print_summary
from ser.inference.timeline_folder import TimelineFolder, reserve_timelines
from ser.inference.windows import chunks, predict_windows, read_file, read_stream
from ser.out_of_memory import explaining_out_of_memory

log = logging.getLogger("ser")

AT_ONCE = 64
"""Clips that are decoded before they are put into batches of similar length."""
ADVICE = "lower batch_size={}, max_seconds or window"
"""Where the memory does not suffice."""


@dataclass(frozen=True)
class Targets:
    """The files of a command, reserved before anything is computed."""

    output: Path | None
    embeddings: Path | None
    overwrite: bool


def predict(cfg: config.Predict) -> None:
    """Predict recordings by name; one that cannot be read does not stop the others.

    Raises:
        UserError: something is in the way of what is written; or, at the end, a recording has no prediction.
    """
    console.start_logging()
    console.quiet_transformers()
    limit_onednn_cache()
    enable_onednn_fp32_matmul()
    if cfg.audio == "-":
        predict_live(cfg)
        return
    recordings = resolve(cfg.audio, cfg.root)
    check_output_is_not_read(cfg)
    with reserve_targets(cfg) as targets, reserve_timelines(cfg.timeline, recordings, cfg.overwrite) as timelines:
        predictor = open_predictor(cfg)
        output_format = OutputFormat.from_predictor(predictor)
        if cfg.window is None:
            predictions = predict_whole(cfg, predictor, recordings)
        else:
            predictions = predict_sliding(cfg, predictor, recordings, timelines)
        summary = Summary(max_rows=None if targets.output is None else MAX_ROWS)
        try:
            advice = ADVICE.format(cfg.batch_size)
            with explaining_out_of_memory(advice), open_writers(targets, output_format) as write:
                for one in predictions:
                    write(one)
                    summary.add(one)
        finally:
            print_summary(summary, output_format, windowed=cfg.window is not None)
    if summary.failed:
        raise UserError(f"{summary.failed} of {len(recordings)} recordings could not be read to their end")


def check_output_is_not_read(cfg: config.Predict) -> None:
    """Raise a UserError where the predictions would replace the list that names the recordings."""
    if cfg.output is not None and Path(cfg.output).resolve() == Path(cfg.audio).resolve():
        raise UserError(f"output={cfg.output}: it is the list that audio= reads; give another name")


def open_predictor(cfg: config.Predict) -> Predictor:
    return Predictor.from_checkpoints(cfg.checkpoint, cfg.ensemble, cfg.batch_size, embeds=cfg.embeddings is not None)


@contextmanager
def reserve_targets(cfg: config.Predict) -> Iterator[Targets]:
    """Hold the locks of the files that are written."""
    with ExitStack() as stack:
        output = stack.enter_context(reserve(cfg.output, cfg.overwrite))
        embeddings = stack.enter_context(reserve(cfg.embeddings, cfg.overwrite, key="embeddings"))
        yield Targets(output, embeddings, cfg.overwrite)


@contextmanager
def open_writers(targets: Targets, output_format: OutputFormat) -> Iterator[Write]:
    """Yield a function that writes a prediction into each file."""
    with (
        open_writer(targets.output, output_format) as write,
        open_embeddings(targets.embeddings, targets.overwrite) as write_embedding,
    ):

        def write_to_all(window: WindowPrediction) -> None:
            write(window)
            write_embedding(window)

        yield write_to_all


def predict_whole(
    cfg: config.Predict, predictor: Predictor, recordings: Sequence[Recording]
) -> Iterator[WindowPrediction]:
    """Yield one prediction for each recording, in order."""

    def decode(recording: Recording) -> Int16 | str:
        try:
            return audio.load_short(readable_path(recording), cfg.max_seconds)
        except (UnreadableAudio, OSError) as error:
            return report_failure(recording, error)

    clips = zip(recordings, in_threads(decode, recordings, AT_ONCE), strict=True)
    with console.progress(clips, "Predicting", len(recordings), noun="recordings") as shown:
        for some in chunks(shown, AT_ONCE):
            readable = [clip for _, clip in some if not isinstance(clip, str)]
            predictions = iter(predictor.predict(readable)) if readable else iter(())
            for recording, clip in some:
                if isinstance(clip, str):
                    yield WindowPrediction(recording.name, error=clip)
                else:
                    warning = audio.describe_oddity(clip)
                    warn(recording, warning)
                    length = len(clip) / SAMPLE_RATE
                    yield WindowPrediction(recording.name, 0.0, length, next(predictions), warning=warning)


def predict_sliding(
    cfg: config.Predict, predictor: Predictor, recordings: Sequence[Recording], timelines: TimelineFolder | None
) -> Iterator[WindowPrediction]:
    """Yield a prediction for each window of each recording, and draw the timelines that are requested."""
    window, hop = window_and_hop(cfg)
    with console.progress(recordings, "Predicting", len(recordings), noun="recordings") as shown:
        for recording in shown:
            predicted = []
            try:
                blocks = read_file(readable_path(recording))
                for one in predict_windows(recording.name, blocks, window, hop, predictor, cfg.batch_size):
                    predicted.append(one)
                    yield one
                if not predicted:
                    raise UnreadableAudio(TOO_SHORT)
            except (UnreadableAudio, OSError) as error:
                yield WindowPrediction(recording.name, error=report_failure(recording, error))
            if predicted:
                log_average(recording, predicted)
            if predicted and timelines is not None:
                timelines.draw(recording, predicted, predictor.labels)


def predict_live(cfg: config.Predict) -> None:
    """Predict windows of standard input as soon as they are whole, in JSON lines; to its end or Ctrl-C."""
    window, hop = window_and_hop(cfg)
    stream = standard_input()
    with reserve_targets(cfg) as targets:
        predictor = open_predictor(cfg)
        output_format, is_empty = OutputFormat.from_predictor(predictor), True
        try:
            with open_writers(targets, output_format) as write, suppress(KeyboardInterrupt):
                blocks = read_stream(stream, WavFormat(cfg.sample_rate, cfg.channels))
                for one in predict_windows("-", blocks, window, hop, predictor, at_once=1):
                    print(json_line(output_format, one), end="", flush=True)
                    write(one)
                    is_empty = False
                if is_empty:
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


def window_and_hop(cfg: config.Predict) -> tuple[float, float]:
    """Return both in seconds; the hop is a whole window by default."""
    assert cfg.window is not None
    return cfg.window, cfg.window if cfg.hop is None else cfg.hop


def log_average(recording: Recording, windows: Sequence[WindowPrediction]) -> None:
    """Log the mean over the windows of a recording, and a warning that all of them share."""
    mean = average([window.prediction for window in windows if window.prediction is not None])
    share = 100 * max(mean.probabilities.values())
    log.info("%s: %d windows, on average %s %.0f %%", printable(recording.name), len(windows), mean.emotion, share)
    if all(window.warning for window in windows):
        warn(recording, windows[0].warning)


def readable_path(recording: Recording) -> Path:
    """Return the path of a recording.

    Raises:
        UnreadableAudio: it is known that it cannot be opened.
    """
    if recording.error:
        raise UnreadableAudio(recording.error)
    return recording.path


def warn(recording: Recording, warning: str) -> None:
    """Log at once why a prediction is unreliable, if it is."""
    if warning:
        log.warning("%s: %s", printable(recording.name), warning)


def report_failure(recording: Recording, error: UnreadableAudio | OSError) -> str:
    """Log at once why a recording has no prediction, and return it."""
    reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    log.warning("%s: %s", printable(recording.name), reason)
    return reason
