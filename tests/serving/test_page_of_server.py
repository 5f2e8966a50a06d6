import asyncio
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="ser-finetune[serve] is not installed")

from ser.serving.memory import MemoryBudget
from ser.serving.page import NOTHING, Page, render
from ser.serving.panel import PanelContent
from ser.serving.queue import RequestQueue
from ser.serving.uploads import Uploads


class Broken:
    """A service whose model fails."""

    def __init__(self, error):
        self.error = error

    def predict_windows(self, recording, window, hop):
        raise self.error


def shown(error, queue=None, path=None):
    """The panel for an upload, or for another path."""

    async def answered():
        uploads = Uploads(Path("/never/there"), MemoryBudget(1_000_000), 1, 60)
        page = Page(Broken(error), queue or RequestQueue(1), uploads, 4, 1)
        return await page.predict(path or uploads.keep("a.wav", b"voice"))

    return asyncio.run(answered())


@pytest.mark.parametrize("error", [FloatingPointError("not finite"), RuntimeError("out of memory"), MemoryError()])
def test_a_failure_of_the_model_is_shown_and_its_traceback_is_logged(error, capsys):
    assert "<strong>No prediction:</strong> the server failed on this recording; its log says why." in shown(error)
    assert f"{type(error).__name__}" in capsys.readouterr().err


def test_a_defect_is_none_of_the_model_and_is_raised():
    with pytest.raises(KeyError):
        shown(KeyError("a defect"))


def test_a_full_queue_and_an_expired_upload_are_shown():
    queue = RequestQueue(1)
    with queue.slot(), queue.slot():
        assert "2 requests are waiting: ask again in" in shown(KeyError, queue)
    assert "the recording is no longer here: send it again" in shown(KeyError, path="/etc/passwd")
    assert asyncio.run(Page(None, None, None, 4, 1).predict(None)) == NOTHING


@pytest.mark.parametrize(("is_distribution", "sentence"), [(True, "The bars add up to"), (False, "Each bar stands")])
def test_the_text_states_whether_the_bars_add_up_and_a_warning_stands_above_them(is_distribution, sentence):
    bars = [("sad", 0.9), ("calm", 0.8)]
    content = PanelContent(bars, "About.", [], None, "", warning="it is clipped", is_distribution=is_distribution)
    panel = render("panel.html", content=content, error=None)
    assert sentence in panel
    assert ("add up" in panel) == is_distribution
    assert panel.index("<strong>Beware:</strong> it is clipped.") < panel.index("sad</th>")
