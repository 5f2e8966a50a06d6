"""Predictions for recordings in memory: those of `ser predict`, within limits."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from threading import Event

import numpy as np

from ser.config.use import check_stretches
from ser.data import audio
from ser.data.audio import SAMPLE_RATE, TOO_SHORT, Int16, UnreadableAudio
from ser.data.windows import of_file
from ser.inference.answers import Answer
from ser.inference.predictor import Predictor, Said
from ser.inference.sliding import slide
from ser.serving.responses import Refused

NAME = "-"
"""What a recording is called: the name that a client gives it is not looked at."""


SILENT = audio.oddity(np.empty(0, dtype=np.int16))


@dataclass(frozen=True)
class Reply:
    """The answers for a recording."""

    answers: list[Answer]
    warning: str
    """What a user should know about the recording, such as that it is silent; or nothing."""


@dataclass(frozen=True)
class PredictionService:
    """Answers recordings that are in memory."""

    predictor: Predictor
    longest: float
    """Seconds that are answered as one."""
    max_minutes: float
    """Minutes that are slid over."""
    stopping: Event = field(default_factory=Event)
    """Set where the server ends: a long recording is then left."""

    def whole(self, recording: bytes) -> Reply:
        """One answer.

        Raises:
            UnreadableAudio: see `ser.data.audio.short`.
        """
        samples = audio.short(recording, self.longest)
        (said,) = self.predictor.answers([samples]).each()
        check_finite(said)
        return Reply([Answer(NAME, 0.0, len(samples) / SAMPLE_RATE, said)], audio.oddity(samples))

    def windows(self, recording: bytes, window: float, hop: float) -> Reply:
        """An answer for each window.

        Raises:
            UnreadableAudio: see `ser.data.audio.opened`; or it is longer than the limit, or too short for an answer.
            UserError: no such window and hop.
        """
        check_stretches(window, hop, self.longest)
        answers: list[Answer] = []
        oddities: set[str] = set()
        blocks = self.limited(of_file(recording), oddities)
        for answer in slide(NAME, blocks, window, hop, self.predictor, self.predictor.batch_size):
            if self.stopping.is_set():
                raise Refused(503, "the server is stopping")
            assert answer.said is not None
            check_finite(answer.said)
            answers.append(answer)
        if not answers:
            raise UnreadableAudio(TOO_SHORT)
        # Silent only if every block is; clipped if any is.
        return Reply(answers, max(oddities - {SILENT} or {SILENT}))

    def limited(self, blocks: Iterable[Int16], oddities: set[str]) -> Iterator[Int16]:
        """Pass the blocks on up to the limit, and note what is odd about them."""
        samples = 0
        for block in blocks:
            samples += len(block)
            if samples > 60 * self.max_minutes * SAMPLE_RATE:
                raise UnreadableAudio(f"it is longer than max_minutes={self.max_minutes:g}")
            if len(block):
                oddities.add(audio.oddity(block))
            yield block


def check_finite(prediction: Said) -> None:
    """Raise a FloatingPointError where a checkpoint predicts no number: its weights are broken."""
    if not all(np.isfinite(probabilities).all() for probabilities in (prediction.shares, *prediction.members)):
        raise FloatingPointError("a probability is not finite: the weights of the checkpoint are broken")
