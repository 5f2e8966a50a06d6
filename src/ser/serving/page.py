"""The page shows the probabilities of a recording. It uses Gradio's recorder, but no feature that contacts a host."""

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import gradio as gr
from jinja2 import FileSystemLoader

from ser.data.containers import UnreadableAudio
from ser.reports.formats import rate
from ser.reports.rendering import template_environment
from ser.serving.model_summary import ModelSummary
from ser.serving.panel import analyse
from ser.serving.queue import RequestQueue
from ser.serving.responses import Refused
from ser.serving.service import PredictionService
from ser.serving.uploads import Uploads

HERE = Path(__file__).parent
TEMPLATES = template_environment().overlay(loader=FileSystemLoader(HERE))
TEMPLATES.filters.update(rate=rate)
CSS = (HERE / "page.css").read_text(encoding="utf-8")
FONTS = ("system-ui", "Segoe UI", "Roboto", "Liberation Sans", "Arial", "sans-serif")
"""Fonts of the user's machine; Gradio's own themes load fonts from Google."""
MONO = ("ui-monospace", "Consolas", "Liberation Mono", "monospace")
SOURCES: list[Literal["upload", "microphone"]] = ["upload", "microphone"]
TITLE = "Which emotion is in this voice?"


class Page:
    """Shows the prediction for an uploaded recording."""

    def __init__(
        self, service: PredictionService, queue: RequestQueue, uploads: Uploads, window: float, hop: float
    ) -> None:
        self.service = service
        self.queue = queue
        self.uploads = uploads
        self.window = window
        self.hop = hop

    def build(self, models: Sequence[ModelSummary], address: str) -> gr.Blocks:
        """Build the page as Gradio blocks."""
        emotions = self.service.predictor.labels
        window_and_hop = {"window": self.window, "hop": self.hop}
        blocks = gr.Blocks(title=TITLE, analytics_enabled=False)
        with blocks:
            gr.HTML(render("intro.html", title=TITLE, emotions=emotions), elem_classes="ours")
            audio = gr.Audio(label="Voice", sources=SOURCES, type="filepath", editable=False, buttons=[])
            panel = gr.HTML(NOTHING, elem_classes="ours")
            gr.HTML(render("model_summary.html", models=models, address=address, **window_and_hop), elem_classes="ours")
            # `RequestQueue` limits requests, because Gradio's queue is unbounded. Gradio's API gets no entry.
            gr.on(
                [audio.upload, audio.stop_recording],
                self.predict,
                audio,
                panel,
                concurrency_limit=None,
                api_visibility="private",
            )
            audio.clear(lambda: NOTHING, None, panel, concurrency_limit=None, api_visibility="private")
        return blocks

    async def predict(self, path: str | None) -> str:
        """Return the panel for an uploaded file."""
        if path is None:
            return NOTHING
        try:
            with self.uploads.pinned(path) as recording, self.queue.slot():
                content = await self.queue.submit(lambda: analyse(self.service, recording, self.window, self.hop))
        except (ArithmeticError, RuntimeError, MemoryError) as error:  # of the model
            traceback.print_exception(error)
            return render("panel.html", content=None, error="the server failed on this recording; its log says why")
        except (Refused, UnreadableAudio) as error:
            return render("panel.html", content=None, error=str(error))
        return render("panel.html", content=content, error=None)


def render(template: str, **content: object) -> str:
    return TEMPLATES.get_template(template).render(content)


NOTHING = render("panel.html", content=None, error=None)
