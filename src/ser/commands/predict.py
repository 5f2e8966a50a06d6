"""ser predict checkpoint=runs/... audio=FILE"""  # noqa: D415

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from ser import config, console
from ser.data import audio
from ser.data.audio import SAMPLE_RATE, TOO_SHORT, Int16, UnreadableAudio
from ser.data.found import Found, find, printable
from ser.data.threads import in_threads
from ser.data.windows import of_file, of_stream
from ser.errors import UserError
from ser.inference.answers import LISTED, Answer, Form, Tally, json_writer, show, written
from ser.inference.predictor import Predictor
from ser.inference.sliding import chunks, mean, slide
from ser.models.arithmetic import faster_float32, few_kept_shapes
from ser.out_of_memory import explaining_out_of_memory

log = logging.getLogger("ser")

AT_ONCE = 64
"""Clips that are decoded before they are put into batches of like length."""


def predict(cfg: config.Predict) -> None:
    """Answer recordings by name; one that cannot be read does not stop the others.

    Raises:
        UserError: at the end, where a recording has no answer.
    """
    console.start_logging()
    console.quiet_transformers()
    few_kept_shapes()
    faster_float32()
    found = [] if cfg.audio == "-" else find(cfg.audio, cfg.root)
    predictor = Predictor.of(cfg.checkpoint, cfg.combine, cfg.batch_size)
    form = Form.of(predictor)
    if cfg.audio == "-":
        live(cfg, predictor, form)
        return
    answers = whole(cfg, predictor, found) if cfg.window is None else sliding(cfg, predictor, found)
    tally = Tally(listed=None if cfg.output is None else LISTED)
    advice = f"lower batch_size={cfg.batch_size}, longest or window"
    with explaining_out_of_memory(advice), written(cfg.output, form) as write:
        for one in answers:
            write(one)
            tally.add(one)
    show(tally, form, windowed=cfg.window is not None)
    if tally.failed:
        raise UserError(f"{tally.failed} of {len(found)} recordings could not be heard to their end")


def whole(cfg: config.Predict, predictor: Predictor, found: list[Found]) -> Iterator[Answer]:
    """One answer for each recording, in order."""

    def heard(recording: Found) -> Int16 | str:
        try:
            return audio.short(recording.path, cfg.longest)
        except (UnreadableAudio, OSError) as error:
            return reason(recording, error)

    clips = zip(found, in_threads(heard, found, AT_ONCE), strict=True)
    for some in chunks(console.progress(clips, "Listening", total=len(found)), AT_ONCE):
        readable = [clip for _, clip in some if not isinstance(clip, str)]
        answers = iter(predictor.answers(readable).each()) if readable else iter(())
        for recording, clip in some:
            if isinstance(clip, str):
                yield Answer(recording.name, error=clip)
            else:
                yield Answer(recording.name, 0.0, len(clip) / SAMPLE_RATE, next(answers))


def sliding(cfg: config.Predict, predictor: Predictor, found: list[Found]) -> Iterator[Answer]:
    """An answer for each window of each recording, and where it is asked for a picture of the whole."""
    window, hop = stretches(cfg)
    for recording in console.progress(found, "Listening", total=len(found)):
        answers = []
        try:
            for one in slide(recording.name, of_file(recording.path), window, hop, predictor, cfg.batch_size):
                answers.append(one)
                yield one
            if not answers:
                raise UnreadableAudio(TOO_SHORT)
        except (UnreadableAudio, OSError) as error:
            yield Answer(recording.name, error=reason(recording, error))
        if answers:
            summary(recording, answers, predictor.labels)
        if answers and cfg.timeline is not None:
            draw(recording, answers, predictor.labels, Path(cfg.timeline).expanduser())


def live(cfg: config.Predict, predictor: Predictor, form: Form) -> None:
    """Answer what comes from standard input, each window once it is whole, in JSON lines; to its end or Ctrl-C."""
    window, hop = stretches(cfg)
    blocks = of_stream(sys.stdin.buffer, cfg.sample_rate, cfg.channels)
    show_line = json_writer(sys.stdout, form)
    with written(cfg.output, form) as write, suppress(KeyboardInterrupt):
        for one in slide("-", blocks, window, hop, predictor, at_once=1):
            show_line(one)
            write(one)


def stretches(cfg: config.Predict) -> tuple[float, float]:
    """Window and hop, in seconds."""
    assert cfg.window is not None
    return cfg.window, cfg.window if cfg.hop is None else cfg.hop


def summary(recording: Found, answers: Sequence[Answer], labels: Sequence[str]) -> None:
    """Say what a recording is on the whole."""
    said, name = mean(answers, labels), printable(recording.name)
    log.info("%s: %d windows, on average %s %.0f %%", name, len(answers), said.emotion, 100 * said.shares.max())


def draw(recording: Found, answers: Sequence[Answer], labels: Sequence[str], folder: Path) -> None:
    """Write the picture of a recording."""
    # A tenth of the start-up and of the memory, and few ask for pictures.
    from ser.inference.timeline import timeline_figure
    from ser.results import figures

    figures.save(timeline_figure(answers, labels, printable(recording.name)), folder / flat(recording.name))


def flat(name: str) -> str:
    """A recording's name as that of one file: folders become part of it."""
    return printable(name).replace("/", "_").replace("\\", "_")


def reason(recording: Found, error: UnreadableAudio | OSError) -> str:
    """Why a recording has no answer, said at once."""
    said = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    log.warning("%s: %s", printable(recording.name), said)
    return said
