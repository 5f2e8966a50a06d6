"""Predictions for recordings in memory: the same as those of `ser predict`, within limits."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event

import numpy as np

from ser.config.predict import check_window
from ser.data import audio
from ser.data.audio import SAMPLE_RATE, TOO_SHORT
from ser.data.audio_file import Content, Int16
from ser.data.containers import UnreadableAudio
from ser.errors import UserError
from ser.inference.predictions import Prediction, WindowPrediction
from ser.inference.predictor import Predictor
from ser.inference.windows import predict_windows, read_file
from ser.serving.responses import Refused

NAME = "-"
"""The name of every recording; file names from clients are not used."""


@dataclass(frozen=True)
class PredictionService:
    """Predicts recordings in memory."""

    predictor: Predictor
    max_seconds: float
    """Longest recording that gets one prediction."""
    max_minutes: float
    """Longest recording that is predicted window by window."""
    stopping: Event = field(default_factory=Event)
    """Set at shutdown: the prediction of a long recording is then aborted."""

    def predict(self, recording: Content) -> WindowPrediction:
        """Predict a recording as a whole.

        Raises:
            UnreadableAudio: See `ser.data.audio.load_short`.
        """
        samples = audio.load_short(recording, self.max_seconds)
        with model_errors():
            (prediction,) = self.predictor.predict([samples])
        check_finite(prediction)
        return WindowPrediction(
            NAME, 0.0, len(samples) / SAMPLE_RATE, prediction, warning=audio.describe_oddity(samples)
        )

    def predict_windows(self, recording: Content, window: float, hop: float) -> list[WindowPrediction]:
        """Predict each window of a recording.

        Raises:
            UnreadableAudio: See `ser.data.audio_file.open_audio`; or the recording is too long or too short.
            UserError: Window or hop is out of range.
        """
        check_window(window, hop, self.max_seconds)
        predicted: list[WindowPrediction] = []
        blocks = self.limit(read_file(recording))
        for one in self.predict_blocks(blocks, window, hop):
            if self.stopping.is_set():
                raise Refused(503, "the server is stopping")
            assert one.prediction is not None
            check_finite(one.prediction)
            predicted.append(one)
        if not predicted:
            raise UnreadableAudio(TOO_SHORT)
        return predicted

    def predict_blocks(self, blocks: Iterable[Int16], window: float, hop: float) -> Iterator[WindowPrediction]:
        with model_errors():
            # A batch at a time: a server that stops, or a recording that is too long, waits for no more than one.
            yield from predict_windows(NAME, blocks, window, hop, self.predictor, self.predictor.batch_size)

    def limit(self, blocks: Iterable[Int16]) -> Iterator[Int16]:
        """Yield the blocks of a recording; raise UnreadableAudio when it exceeds `max_minutes`."""
        samples = 0
        for block in blocks:
            samples += len(block)
            if samples > 60 * self.max_minutes * SAMPLE_RATE:
                raise UnreadableAudio(f"it is longer than max_minutes={self.max_minutes:g}")
            yield block


@contextmanager
def model_errors() -> Iterator[None]:
    """Convert a UserError of the checkpoint to an error of the server, because no client can correct it."""
    try:
        yield
    except UserError as error:
        raise FloatingPointError(str(error)) from error


def check_finite(prediction: Prediction) -> None:
    """Raise a FloatingPointError where a probability is not finite, that is, where the weights are broken."""
    if not all(np.isfinite(one.as_array()).all() for one in (prediction, *prediction.members)):
        raise FloatingPointError("a probability is not finite: the weights of the checkpoint are broken")
