"""Predictions for recordings in memory: those of `ser predict`, within limits."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event

import numpy as np

from ser.config.use import check_stretches
from ser.data import audio
from ser.data.audio import SAMPLE_RATE, TOO_SHORT, Content, Int16, UnreadableAudio
from ser.errors import UserError
from ser.inference.predictions import Answer
from ser.inference.predictor import Predictor, Said
from ser.inference.sliding import slide
from ser.inference.windows import of_file
from ser.serving.responses import Refused

NAME = "-"
"""What a recording is called: the name that a client gives it is not looked at."""


@dataclass(frozen=True)
class PredictionService:
    """Answers recordings that are in memory."""

    predictor: Predictor
    max_seconds: float
    """Seconds that are answered as one."""
    max_minutes: float
    """Minutes that are slid over."""
    stopping: Event = field(default_factory=Event)
    """Set where the server ends: a long recording is then left."""

    def whole(self, recording: Content) -> Answer:
        """One answer.

        Raises:
            UnreadableAudio: see `ser.data.audio.short`.
        """
        samples = audio.short(recording, self.max_seconds)
        with model_errors():
            (said,) = self.predictor.answers([samples]).each()
        check_finite(said)
        return Answer(NAME, 0.0, len(samples) / SAMPLE_RATE, said, warning=audio.oddity(samples))

    def windows(self, recording: Content, window: float, hop: float) -> list[Answer]:
        """An answer for each window.

        Raises:
            UnreadableAudio: see `ser.data.audio.opened`; or it is longer than the limit, or too short for an answer.
            UserError: no such window and hop.
        """
        check_stretches(window, hop, self.max_seconds)
        answers: list[Answer] = []
        blocks = self.limited(of_file(recording))
        for answer in self.slid(blocks, window, hop):
            if self.stopping.is_set():
                raise Refused(503, "the server is stopping")
            assert answer.said is not None
            check_finite(answer.said)
            answers.append(answer)
        if not answers:
            raise UnreadableAudio(TOO_SHORT)
        return answers

    def slid(self, blocks: Iterable[Int16], window: float, hop: float) -> Iterator[Answer]:
        with model_errors():
            yield from slide(NAME, blocks, window, hop, self.predictor, self.predictor.batch_size)

    def limited(self, blocks: Iterable[Int16]) -> Iterator[Int16]:
        samples = 0
        for block in blocks:
            samples += len(block)
            if samples > 60 * self.max_minutes * SAMPLE_RATE:
                raise UnreadableAudio(f"it is longer than max_minutes={self.max_minutes:g}")
            yield block


@contextmanager
def model_errors() -> Iterator[None]:
    """Raise what the predictor reports of a checkpoint as an error of the server: no client can mend it."""
    try:
        yield
    except UserError as error:
        raise FloatingPointError(str(error)) from error


def check_finite(prediction: Said) -> None:
    """Raise a FloatingPointError where a checkpoint predicts no number: its weights are broken."""
    if not all(np.isfinite(probabilities).all() for probabilities in (prediction.shares, *prediction.members)):
        raise FloatingPointError("a probability is not finite: the weights of the checkpoint are broken")
