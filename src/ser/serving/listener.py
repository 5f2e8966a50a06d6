"""What the server makes of a recording: the answers that `ser predict` gives, within limits."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ser.config.use import check_stretches
from ser.data import audio
from ser.data.audio import SAMPLE_RATE, TOO_SHORT, Int16, UnreadableAudio
from ser.data.windows import of_file
from ser.inference.answers import Answer
from ser.inference.predictor import Predictor
from ser.inference.sliding import slide

NAME = "-"
"""What a recording is called: the name that a client gives it is not looked at."""


@dataclass(frozen=True)
class Listener:
    """Answers recordings that are in memory."""

    predictor: Predictor
    longest: float
    """Seconds that are answered as one."""
    max_minutes: float
    """Minutes that are slid over."""

    def whole(self, recording: bytes) -> Answer:
        """One answer.

        Raises:
            UnreadableAudio: see `ser.data.audio.short`.
        """
        samples = audio.short(recording, self.longest)
        (said,) = self.predictor.answers([samples]).each()
        return Answer(NAME, 0.0, len(samples) / SAMPLE_RATE, said)

    def windows(self, recording: bytes, window: float, hop: float) -> list[Answer]:
        """An answer for each window.

        Raises:
            UnreadableAudio: see `ser.data.audio.opened`; or it is longer than the limit, or too short for an answer.
            UserError: no such window and hop.
        """
        check_stretches(window, hop, self.longest)
        blocks = self.limited(of_file(recording))
        answers = list(slide(NAME, blocks, window, hop, self.predictor, self.predictor.batch_size))
        if not answers:
            raise UnreadableAudio(TOO_SHORT)
        return answers

    def limited(self, blocks: Iterable[Int16]) -> Iterator[Int16]:
        heard = 0
        for block in blocks:
            heard += len(block)
            if heard > 60 * self.max_minutes * SAMPLE_RATE:
                raise UnreadableAudio(f"it is longer than max_minutes={self.max_minutes:g}")
            yield block
