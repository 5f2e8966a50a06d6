"""ser predict checkpoint=runs/... audio=FILE"""  # noqa: D415

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
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
from ser.inference.output import json_line, reserved, written
from ser.inference.pictures import Pictures, pictures_in
from ser.inference.predictions import LISTED, Answer, Form, Tally, show
from ser.inference.predictor import Predictor
from ser.inference.recordings import Found, find
from ser.inference.sliding import chunks, mean, slide
from ser.inference.windows import of_file, of_stream
from ser.out_of_memory import explaining_out_of_memory

log = logging.getLogger("ser")

AT_ONCE = 64
"""Clips that are decoded before they are put into batches of like length."""
ADVICE = "lower batch_size={}, max_seconds or window"
"""Where the memory does not suffice."""


def predict(cfg: config.Predict) -> None:
    """Answer recordings by name; one that cannot be read does not stop the others.

    Raises:
        UserError: something is in the way of what is written; or, at the end, a recording has no answer.
    """
    console.start_logging()
    console.quiet_transformers()
    limit_onednn_cache()
    enable_onednn_fp32_matmul()
    if cfg.audio == "-":
        live(cfg)
        return
    found = find(cfg.audio, cfg.root)
    check_output_is_not_read(cfg)
    with reserved(cfg.output, cfg.overwrite) as target, pictures_in(cfg.timeline, found, cfg.overwrite) as pictures:
        predictor = Predictor.of(cfg.checkpoint, cfg.ensemble, cfg.batch_size)
        form = Form.of(predictor)
        answers = whole(cfg, predictor, found) if cfg.window is None else sliding(cfg, predictor, found, pictures)
        tally = Tally(listed=None if target is None else LISTED)
        try:
            with explaining_out_of_memory(ADVICE.format(cfg.batch_size)), written(target, form) as write:
                for one in answers:
                    write(one)
                    tally.add(one)
        finally:
            show(tally, form, windowed=cfg.window is not None)
    if tally.failed:
        raise UserError(f"{tally.failed} of {len(found)} recordings could not be heard to their end")


def check_output_is_not_read(cfg: config.Predict) -> None:
    """Raise a UserError where the answers would replace the list that names the recordings."""
    if cfg.output is not None and Path(cfg.output).resolve() == Path(cfg.audio).resolve():
        raise UserError(f"output={cfg.output}: it is the list that audio= reads; give another name")


def whole(cfg: config.Predict, predictor: Predictor, found: list[Found]) -> Iterator[Answer]:
    """One answer for each recording, in order."""

    def decoded(recording: Found) -> Int16 | str:
        try:
            return audio.short(regular(recording), cfg.max_seconds)
        except (UnreadableAudio, OSError) as error:
            return reason(recording, error)

    clips = zip(found, in_threads(decoded, found, AT_ONCE), strict=True)
    for some in chunks(console.progress(clips, "Listening", total=len(found)), AT_ONCE):
        readable = [clip for _, clip in some if not isinstance(clip, str)]
        answers = iter(predictor.answers(readable).each()) if readable else iter(())
        for recording, clip in some:
            if isinstance(clip, str):
                yield Answer(recording.name, error=clip)
            else:
                warning = audio.oddity(clip)
                warn(recording, warning)
                yield Answer(recording.name, 0.0, len(clip) / SAMPLE_RATE, next(answers), warning=warning)


def sliding(
    cfg: config.Predict, predictor: Predictor, found: list[Found], pictures: Pictures | None
) -> Iterator[Answer]:
    """An answer for each window of each recording, and where it is asked for a picture of the whole."""
    window, hop = stretches(cfg)
    for recording in console.progress(found, "Listening", total=len(found)):
        answers = []
        try:
            for one in slide(recording.name, of_file(regular(recording)), window, hop, predictor, cfg.batch_size):
                answers.append(one)
                yield one
            if not answers:
                raise UnreadableAudio(TOO_SHORT)
        except (UnreadableAudio, OSError) as error:
            yield Answer(recording.name, error=reason(recording, error))
        if answers:
            summary(recording, answers, predictor.labels)
        if answers and pictures is not None:
            pictures.draw(recording, answers, predictor.labels)


def live(cfg: config.Predict) -> None:
    """Answer what comes from standard input, each window once it is whole, in JSON lines; to its end or Ctrl-C."""
    window, hop = stretches(cfg)
    stream = standard_input()
    with reserved(cfg.output, cfg.overwrite) as target:
        predictor = Predictor.of(cfg.checkpoint, cfg.ensemble, cfg.batch_size)
        form, is_empty = Form.of(predictor), True
        try:
            with written(target, form) as write, suppress(KeyboardInterrupt):
                blocks = of_stream(stream, WavFormat(cfg.sample_rate, cfg.channels))
                for one in slide("-", blocks, window, hop, predictor, at_once=1):
                    print(json_line(form, one), end="", flush=True)
                    write(one)
                    is_empty = False
                if is_empty:
                    raise UnreadableAudio(f"standard input ended without an answer; it was empty, or {TOO_SHORT}")
        except UnreadableAudio as error:
            raise UserError(f"audio=-: {error}") from error


def standard_input() -> BinaryIO:
    """What sound comes from.

    Raises:
        UserError: nothing can come from there.
    """
    if sys.stdin is None:
        raise UserError("audio=-: standard input is closed")
    if sys.stdin.isatty():
        raise UserError("audio=-: standard input is a terminal; pipe WAV or raw samples into it")
    return sys.stdin.buffer


def stretches(cfg: config.Predict) -> tuple[float, float]:
    """Window and hop, in seconds."""
    assert cfg.window is not None
    return cfg.window, cfg.window if cfg.hop is None else cfg.hop


def summary(recording: Found, answers: Sequence[Answer], labels: Sequence[str]) -> None:
    """Say what a recording is on the whole."""
    said, name = mean(answers, labels), printable(recording.name)
    log.info("%s: %d windows, on average %s %.0f %%", name, len(answers), said.emotion, 100 * said.shares.max())
    if all(answer.warning for answer in answers):
        warn(recording, answers[0].warning)


def regular(recording: Found) -> Path:
    """The path of a recording that can be opened.

    Raises:
        UnreadableAudio: it is known that it cannot.
    """
    if recording.error:
        raise UnreadableAudio(recording.error)
    return recording.path


def warn(recording: Found, warning: str) -> None:
    """Say at once what an answer is not worth."""
    if warning:
        log.warning("%s: %s", printable(recording.name), warning)


def reason(recording: Found, error: UnreadableAudio | OSError) -> str:
    """Why a recording has no answer, said at once."""
    said = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    log.warning("%s: %s", printable(recording.name), said)
    return said
