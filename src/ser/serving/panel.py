"""The content of the page's answer: the bars, and for a longer recording its course."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from ser.data.audio import Content
from ser.inference.predictions import Answer
from ser.inference.sliding import mean
from ser.inference.timeline import timeline_figure
from ser.reports.html_text import duration
from ser.serving.service import PredictionService

CLIPPED = "it is clipped"
SPELLED_OUT = 6
"""Stretches of a course that words list; of more there is only the picture and what is frequent."""


@dataclass(frozen=True)
class PanelContent:
    """What `panel.html` shows."""

    ranked: list[tuple[str, float]]
    """Emotions with their probabilities, the likeliest first."""
    about: str
    members: list[tuple[str, str, float]]
    """Checkpoint, emotion and probability, where several answer together."""
    timeline: str | None
    """A picture as a data URI; None of a recording that is no longer than a window."""
    course: str
    """What the picture shows."""
    warning: str
    """What a user should know about the recording; or nothing."""
    is_distribution: bool
    """Whether the probabilities sum to one."""


def analyse(service: PredictionService, recording: Content, window: float, hop: float) -> PanelContent:
    """Answer a recording as one where it is short enough, else by the mean over its windows.

    Raises:
        UnreadableAudio: it cannot be answered.
    """
    answers = service.windows(recording, window, hop)
    length = answers[-1].end
    if length <= service.max_seconds:
        whole = answers[0] if len(answers) == 1 else service.whole(recording)
        assert whole.said is not None
        said, about = whole.said, f"One answer for the whole recording of {duration(length)}."
    else:
        said = mean(answers, service.predictor.labels)
        about = f"The mean over {len(answers)} windows of {window:g} s, of a recording of {duration(length)}."
    labels = service.predictor.labels
    members = zip(service.predictor.members, said.members, strict=True) if len(said.members) > 1 else ()
    is_long = len(answers) > 1
    return PanelContent(
        ranked=sorted(zip(labels, map(float, said.shares), strict=True), key=lambda pair: -pair[1]),
        about=about,
        members=[(member.name, labels[int(shares.argmax())], float(shares.max())) for member, shares in members],
        timeline=picture(answers, labels) if is_long else None,
        course=course(answers) if is_long else "",
        warning=warning(answers),
        is_distribution=service.predictor.members[0].outputs.activation == "softmax",
    )


def warning(answers: Sequence[Answer]) -> str:
    """What is odd about a recording: about every window of it, or clipping in any."""
    oddities = {answer.warning for answer in answers}
    return oddities.pop() if len(oddities) == 1 else CLIPPED if CLIPPED in oddities else ""


def picture(answers: Sequence[Answer], labels: Sequence[str]) -> str:
    """The timeline, for a page to hold: no file is written for it."""
    content = io.BytesIO()
    timeline_figure(answers, labels, "").savefig(content, format="png", dpi=130)
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


def course(answers: Sequence[Answer]) -> str:
    """Which emotion is the likeliest when."""
    likeliest = [(answer.said.emotion, answer.start) for answer in answers if answer.said is not None]
    changes = [next(run) for _, run in groupby(likeliest, key=itemgetter(0))]
    if len(changes) > SPELLED_OUT:
        return f"The likeliest emotion changes {len(changes) - 1} times."
    return f"Likeliest: {', then '.join(f'{emotion} from {start:.0f} s' for emotion, start in changes)}."
