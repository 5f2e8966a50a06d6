"""Predict emotions and embed recordings from Python."""

import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, overload

import numpy as np
import numpy.typing as npt

from ser.config import Ensemble
from ser.data.audio_file import Int16
from ser.inference.member import Member
from ser.inference.predictions import Prediction as Prediction
from ser.inference.predictor import Predictor
from ser.inference.waveforms import Clip, decode
from ser.inference.windows import chunks

Result = TypeVar("Result")

AT_ONCE = 64
"""Clips that are decoded before they are put into batches of similar length."""


def load(
    checkpoint: str | os.PathLike[str],
    *,
    batch_size: int = 8,
    max_seconds: float = 30.0,
    test_time_copies: int = 0,
    temperature: float = 1.0,
) -> "EmotionClassifier":
    """Open a fine-tuned checkpoint.

    Args:
        checkpoint: A run folder, a checkpoint folder or `USER/NAME` on the Hugging Face Hub.
        batch_size: Recordings that are computed together, at most.
        max_seconds: Seconds; a longer recording is refused, as by `ser predict`.
        test_time_copies: Probabilities are averaged over the recording and this many perturbed copies of it, as by
            `ser predict`; embeddings are those of the recording alone.
        temperature: Divides the logits, as by `ser predict`; `ser evaluate calibrate=true` finds it.

    Raises:
        UserError: A `ValueError`: it is no checkpoint of a known architecture with a head for emotions.

    Examples:
        >>> from ser import load
        >>> classifier = load(checkpoint)
        >>> classifier.labels
        ['angry', 'happy', 'sad']
        >>> classifier.predict("recording.wav").emotion
        'sad'
    """
    given = [os.fspath(checkpoint)]
    predictor = Predictor.from_checkpoints(
        given, Ensemble.mean, batch_size, copies=test_time_copies, temperature=temperature
    )
    return EmotionClassifier(predictor, max_seconds)


class EmotionClassifier:
    """A checkpoint that predicts and embeds; `ser.load` opens one.

    The result for a recording does not depend on the others in the call, nor on padding. It computes in float32 on a
    GPU where there is one.

    Attributes:
        labels: The emotions, in the order of the checkpoint.
    """

    def __init__(self, predictor: Predictor, max_seconds: float) -> None:
        """Use `ser.load` instead.

        Args:
            predictor: of one checkpoint.
            max_seconds: seconds that are taken as one recording.
        """
        self.labels: list[str] = predictor.labels
        self._predictor = predictor
        self._max_seconds = max_seconds

    def __repr__(self) -> str:
        return f"EmotionClassifier({self._member.name!r}, labels={self.labels})"

    @property
    def _member(self) -> Member:
        return self._predictor.members[0]

    @overload
    def predict(  # type: ignore[overload-overlap]  # a str is a sequence of str
        self, clips: Clip, sample_rate: float | None = None
    ) -> Prediction: ...
    @overload
    def predict(self, clips: Sequence[Clip], sample_rate: float | None = None) -> list[Prediction]: ...
    def predict(self, clips: Clip | Sequence[Clip], sample_rate: float | None = None) -> Prediction | list[Prediction]:
        """Predict the emotion of a recording, or of each recording of a list.

        Args:
            clips: A file of any container, sample rate and number of channels that libsndfile reads; an array
                `(samples,)` or `(samples, channels)` of floats in [-1, 1] or of int16, as `soundfile.read` returns it;
                or a list of them. Channels are averaged.
            sample_rate: Hertz, of the arrays, which are resampled to 16 kHz. A file has its own.

        Returns:
            A prediction; or a list of them where a list was given.

        Raises:
            UserError: A `ValueError`: a recording is damaged, too short or too long, or an array has no sample rate,
                or another shape, type or scale.

        Examples:
            >>> prediction = classifier.predict("recording.wav")
            >>> prediction.emotion in classifier.labels
            True
            >>> round(sum(prediction.probabilities.values()), 5)
            1.0
            >>> waveform, sample_rate = soundfile.read("recording.wav")
            >>> classifier.predict(waveform, sample_rate) == prediction
            True
            >>> len(classifier.predict(["recording.wav", "recording.wav"]))
            2
        """
        return self._each(clips, sample_rate, self._predictor.predict)

    @overload
    def embed(  # type: ignore[overload-overlap]
        self, clips: Clip, sample_rate: float | None = None, frames: bool = False
    ) -> npt.NDArray[np.float32]: ...
    @overload
    def embed(
        self, clips: Sequence[Clip], sample_rate: float | None = None, frames: bool = False
    ) -> list[npt.NDArray[np.float32]]: ...
    def embed(
        self, clips: Clip | Sequence[Clip], sample_rate: float | None = None, frames: bool = False
    ) -> npt.NDArray[np.float32] | list[npt.NDArray[np.float32]]:
        """Return the embedding of a recording, or of each recording of a list.

        The frame embeddings are the representations that the head pools, before its projection: the encoder's last
        layer, or the learned weighted sum of its layers. A frame is 20 ms for most encoders, 24 ms for Moonshine. The
        utterance embedding is their mean. A checkpoint that was trained without the silence at both ends of a clip
        has no frames there.

        Args:
            clips: As for `predict`.
            sample_rate: As for `predict`.
            frames: Return the frame embeddings instead of the utterance embedding.

        Returns:
            float32 `(width,)`, or with `frames=True` `(frames, width)`; or a list of them where a list was given.

        Raises:
            UserError: As for `predict`.

        Examples:
            >>> frames = classifier.embed("recording.wav", frames=True)
            >>> utterance = classifier.embed("recording.wav")
            >>> bool(np.allclose(frames.mean(axis=0), utterance, atol=1e-5))
            True
        """

        def embed_some(decoded: Sequence[Int16]) -> list[npt.NDArray[np.float32]]:
            return self._member.embed(decoded, self._predictor.batch_size, frames)[1]

        return self._each(clips, sample_rate, embed_some)

    def _each(
        self,
        clips: Clip | Sequence[Clip],
        sample_rate: float | None,
        compute: Callable[[Sequence[Int16]], list[Result]],
    ) -> Result | list[Result]:
        """Return the result for a clip, or a list of results; only some clips are in memory at a time."""
        is_one = isinstance(clips, (str, os.PathLike)) or hasattr(clips, "__array__")
        given: Sequence[Any] = [clips] if is_one else clips  # type: ignore[assignment]
        decoded = (decode(clip, sample_rate, self._max_seconds) for clip in given)
        results = [result for some in chunks(decoded, AT_ONCE) for result in compute(some)]
        return results[0] if is_one else results
