"""The content of the page's panel: the probabilities, and a timeline for a longer recording."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from ser.data.audio_file import Content
from ser.inference.predictions import WindowPrediction, average
from ser.reports.formats import duration
from ser.serving.service import PredictionService

CLIPPED = "it is clipped"
SPELLED_OUT = 6
"""Largest number of emotion changes that the text lists; above it, the text gives their number."""


@dataclass(frozen=True)
class PanelContent:
    """The content of `panel.html`."""

    ranked: list[tuple[str, float]]
    """Emotions with their probabilities, the most probable first."""
    about: str
    members: list[tuple[str, str, float]]
    """Checkpoint, emotion and probability of each member of an ensemble."""
    timeline: str | None
    """A figure as a data URI; None for a recording of one window."""
    course: str
    """A description of the timeline."""
    warning: str
    """Why the prediction may be unreliable; empty where it is not."""
    is_distribution: bool
    """Whether the probabilities sum to one."""


def analyse(service: PredictionService, recording: Content, window: float, hop: float) -> PanelContent:
    """Predict a recording as a whole where it is short enough, else by the mean over its windows.

    Raises:
        UnreadableAudio: The recording cannot be predicted.
    """
    windows = service.predict_windows(recording, window, hop)
    length = windows[-1].end
    if length <= service.max_seconds:
        whole = windows[0] if len(windows) == 1 else service.predict(recording)
        assert whole.prediction is not None
        prediction, about = whole.prediction, f"One prediction for the whole recording of {duration(length)}."
    else:
        prediction = average([one.prediction for one in windows if one.prediction is not None])
        about = f"The mean over {len(windows)} windows of {window:g} s, of a recording of {duration(length)}."
    names = [member.name for member in service.predictor.members if prediction.members]
    is_long = len(windows) > 1
    return PanelContent(
        ranked=sorted(prediction.probabilities.items(), key=lambda pair: -pair[1]),
        about=about,
        members=[
            (name, member.emotion, max(member.probabilities.values()))
            for name, member in zip(names, prediction.members, strict=True)
        ],
        timeline=draw_timeline(windows, service.predictor.labels) if is_long else None,
        course=describe_course(windows) if is_long else "",
        warning=common_warning(windows),
        is_distribution=service.predictor.members[0].outputs.activation == "softmax",
    )


def common_warning(windows: Sequence[WindowPrediction]) -> str:
    """Return the warning that all windows share, or clipping in any of them; empty where there is none."""
    oddities = {window.warning for window in windows}
    return oddities.pop() if len(oddities) == 1 else CLIPPED if CLIPPED in oddities else ""


def draw_timeline(windows: Sequence[WindowPrediction], labels: Sequence[str]) -> str:
    """Return the timeline as a data URI, without writing a file."""
    # Imported here because it takes a second, and the server answers other requests before.
    from ser.inference.timeline import timeline_figure

    content = io.BytesIO()
    timeline_figure(windows, labels, "").savefig(content, format="png", dpi=130)
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


def describe_course(windows: Sequence[WindowPrediction]) -> str:
    """Describe the most probable emotion over time in one sentence."""
    emotions = [(window.prediction.emotion, window.start) for window in windows if window.prediction is not None]
    changes = [next(run) for _, run in groupby(emotions, key=itemgetter(0))]
    if len(changes) > SPELLED_OUT:
        return f"The most probable emotion changes {len(changes) - 1} times."
    return f"Most probable: {', then '.join(f'{emotion} from {start:.0f} s' for emotion, start in changes)}."
