"""Predictions of recordings in order, in blocks: the unit in which `ser predict` is interrupted and continued."""

import logging
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ser import config, console
from ser.data import audio
from ser.data.audio import SAMPLE_RATE, TOO_SHORT
from ser.data.audio_file import Int16
from ser.data.containers import UnreadableAudio
from ser.data.parallel import in_threads
from ser.files import printable
from ser.inference.predictions import WindowPrediction, average
from ser.inference.predictor import Predictor
from ser.inference.recordings import Recording, Recordings
from ser.inference.timeline_folder import TimelineFolder
from ser.inference.windows import chunks, predict_windows, read_file

log = logging.getLogger("ser")

ADVICE = "lower batch_size={}, max_seconds or window"
"""Where the memory does not suffice."""

AT_ONCE, AT_ONCE_BY_SMALL = 64, 256
"""Recordings of a block, which are decoded before they are put into batches of similar length. A command continues at
the end of a block, so that its batches, and with them the last digits, are those of an uninterrupted command."""
SMALL = 100e6
"""Bytes of the weights of a small model: an encoder of 25 M parameters. More of its recordings have the same length, so
that its batches are larger: 9.1 ms a clip of RAVDESS with 256, 11.3 ms with 64 (Moonshine-tiny, two EPYC cores,
2026-11-28). A large model gains less, and would take minutes for what a stopped command has to compute again."""


@dataclass(frozen=True)
class Block:
    """Some successive recordings."""

    names: Sequence[str]
    predictions: Iterable[WindowPrediction]
    """Of all of them, in order; they may be computed while they are taken, before the next block."""


def recordings_at_once(predictor: Predictor) -> int:
    """Return the number of recordings of a block."""
    weights = sum(member.weights_size() for member in predictor.members)
    return AT_ONCE_BY_SMALL if weights <= SMALL else AT_ONCE


def predict_whole(
    cfg: config.Predict, predictor: Predictor, recordings: Recordings, done: int
) -> Generator[Block, None, None]:
    """Yield one prediction for each of the recordings behind the first `done`, with a progress bar."""
    at_once = recordings_at_once(predictor)
    decoded = in_threads(partial(decode, max_seconds=cfg.max_seconds), recordings[done:], at_once)
    with console.progress(decoded, "Predicting", len(recordings), done, "recordings") as shown:
        for some in chunks(shown, at_once):
            predictions = predict_clips(predictor, some)
            log_problems(predictions)
            yield Block([recording.name for recording, _ in some], predictions)


def decode(recording: Recording, max_seconds: float) -> tuple[Recording, Int16 | str]:
    """Return a recording with its samples, or with the reason why it has none."""
    try:
        return recording, audio.load_short(readable_path(recording), max_seconds)
    except (UnreadableAudio, OSError) as error:
        return recording, describe_failure(error)


def predict_clips(predictor: Predictor, decoded: Sequence[tuple[Recording, Int16 | str]]) -> list[WindowPrediction]:
    """Predict the recordings of a block together."""
    readable = [clip for _, clip in decoded if not isinstance(clip, str)]
    predictions = iter(predictor.predict(readable)) if readable else iter(())
    results = []
    for recording, clip in decoded:
        if isinstance(clip, str):
            results.append(WindowPrediction(recording.name, error=clip))
        else:
            warning = audio.describe_oddity(clip)
            length = len(clip) / SAMPLE_RATE
            results.append(WindowPrediction(recording.name, 0.0, length, next(predictions), warning=warning))
    return results


def predict_sliding(
    cfg: config.Predict, predictor: Predictor, recordings: Recordings, done: int, timelines: TimelineFolder | None
) -> Generator[Block, None, None]:
    """Yield the predictions for the windows of each of the recordings behind the first `done`, with a progress bar."""
    with console.progress(recordings[done:], "Predicting", len(recordings), done, "recordings") as shown:
        for recording in shown:
            yield Block([recording.name], report_windows(recording, predict_file(cfg, predictor, recording), timelines))


def predict_file(cfg: config.Predict, predictor: Predictor, recording: Recording) -> Iterator[WindowPrediction]:
    """Yield a prediction for each window of a recording, and at the end the reason why there are no more, if any."""
    window, hop = window_and_hop(cfg)
    is_empty = True
    try:
        blocks = read_file(readable_path(recording))
        for one in predict_windows(recording.name, blocks, window, hop, predictor):
            is_empty = False
            yield one
        if is_empty:
            raise UnreadableAudio(TOO_SHORT)
    except (UnreadableAudio, OSError) as error:
        yield WindowPrediction(recording.name, error=describe_failure(error))


def report_windows(
    recording: Recording, windows: Iterable[WindowPrediction], timelines: TimelineFolder | None
) -> Iterator[WindowPrediction]:
    """Yield the windows of a recording, log their mean, and draw its timeline if one is requested."""
    predicted = []
    for one in windows:
        if one.error:
            log_problems([one])
        else:
            predicted.append(one)
        yield one
    if predicted:
        log_average(recording, predicted)
    if predicted and timelines is not None:
        assert predicted[0].prediction is not None
        timelines.draw(recording, predicted, list(predicted[0].prediction.probabilities))


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
        log_problems(windows[:1])


def readable_path(recording: Recording) -> Path:
    """Return the path of a recording.

    Raises:
        UnreadableAudio: it is known that it cannot be opened.
    """
    if recording.error:
        raise UnreadableAudio(recording.error)
    return recording.path


def log_problems(predictions: Iterable[WindowPrediction]) -> None:
    """Log why recordings have no prediction, or an unreliable one."""
    for one in predictions:
        if reason := one.error or one.warning:
            log.warning("%s: %s", printable(one.name), reason)


def describe_failure(error: UnreadableAudio | OSError) -> str:
    """Return why a recording has no prediction."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
