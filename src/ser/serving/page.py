"""The page: a recording in, bars out. Built with Gradio, of which it uses the recorder and nothing that calls home."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import gradio as gr
from jinja2 import FileSystemLoader

from ser.corpora.recordings import AUDIO_SUFFIXES
from ser.data.audio import UnreadableAudio
from ser.results.figures import rate
from ser.results.page import environment
from ser.serving.evidence import Evidence
from ser.serving.heard import heard
from ser.serving.listener import Listener
from ser.serving.turns import Refused, Turns
from ser.serving.uploads import Uploads

HERE = Path(__file__).parent
TEMPLATES = environment().overlay(loader=FileSystemLoader(HERE))
TEMPLATES.filters.update(rate=rate)
CSS = (HERE / "page.css").read_text(encoding="utf-8")
FONTS = ("system-ui", "Segoe UI", "Roboto", "Liberation Sans", "Arial", "sans-serif")
"""Those of the machine: Gradio's own themes ask Google for theirs."""
MONO = ("ui-monospace", "Consolas", "Liberation Mono", "monospace")
FORMATS = ", ".join(sorted(suffix[1:].upper() for suffix in AUDIO_SUFFIXES))
SOURCES: list[Literal["upload", "microphone"]] = ["upload", "microphone"]
TITLE = "Which emotion is in this voice?"


class Page:
    """Shows what is heard in a file that it was sent."""

    def __init__(self, listener: Listener, turns: Turns, uploads: Uploads, window: float, hop: float) -> None:
        self.listener = listener
        self.turns = turns
        self.uploads = uploads
        self.window = window
        self.hop = hop

    def blocks(self, evidence: Sequence[Evidence], address: str) -> gr.Blocks:
        """What stands where."""
        emotions = self.listener.predictor.labels
        stretches = {"window": self.window, "hop": self.hop}
        blocks = gr.Blocks(title=TITLE, analytics_enabled=False)
        with blocks:
            gr.HTML(rendered("intro.html", title=TITLE, emotions=emotions), elem_classes="ours")
            audio = gr.Audio(label="Voice", sources=SOURCES, type="filepath", editable=False, buttons=[])
            panel = gr.HTML(NOTHING, elem_classes="ours")
            gr.HTML(rendered("evidence.html", evidence=evidence, address=address, **stretches), elem_classes="ours")
            # No place in Gradio's queue, which lets in whoever comes, and no entry in its own API.
            gr.on(
                [audio.upload, audio.stop_recording],
                self.shown,
                audio,
                panel,
                concurrency_limit=None,
                api_visibility="private",
            )
            audio.clear(lambda: NOTHING, None, panel, concurrency_limit=None, api_visibility="private")
        return blocks

    async def shown(self, path: str | None) -> str:
        """The panel for a file."""
        if path is None:
            return NOTHING
        try:
            with self.turns.place():
                recording = self.uploads.take(path)
                answer = await self.turns.run(lambda: heard(self.listener, recording, self.window, self.hop))
        except (Refused, UnreadableAudio) as error:
            formats = FORMATS if isinstance(error, UnreadableAudio) else ""
            return rendered("panel.html", heard=None, error=str(error), formats=formats)
        return rendered("panel.html", heard=answer, error=None)


def rendered(template: str, **content: object) -> str:
    return TEMPLATES.get_template(template).render(content)


NOTHING = rendered("panel.html", heard=None, error=None)
