"""The page as a browser shows it; skipped where there is none."""

import re

import pytest
from conftest import tone
from helpers.browsers import contrasts, started
from helpers.toy_server import BAD, random_checkpoint, served, speech, wav

from ser.data.containers import UNKNOWN

pytest.importorskip("gradio", reason="ser-finetune[serve] is not installed")

MICROPHONE = (
    "--use-fake-ui-for-media-stream",  # allows it
    "--use-fake-device-for-media-stream",  # which beeps
)
HOSTILE = "<img src=x onerror=alert(1)>.wav"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = random_checkpoint(tmp_path_factory.mktemp("run"))
    with served(folder, tmp_path_factory.mktemp("temporary"), "max_megabytes=2") as running:
        yield running


@pytest.fixture(scope="module")
def browser():
    with started(*MICROPHONE) as running:
        yield running


@pytest.fixture
def opened(browser, server):
    """Opens the page; at the end, nothing may have gone wrong in it, left the machine or stayed on its disk."""
    contexts, complaints, requests = [], [], []

    def complain(dialog):
        complaints.append(dialog.message)
        dialog.dismiss()

    def log_message(message):
        # The player cannot play what is no audio, and says so where nobody looks.
        if message.type == "error" and "Waveform load error: MediaError" not in message.text:
            complaints.append(message.text)

    def open_(**options):
        context = browser.new_context(**options)
        context.set_default_timeout(30_000)
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", log_message)
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("dialog", complain)
        context.on("request", lambda request: requests.append(request.url))
        tab.goto(server.address)
        tab.get_by_role("button", name="Record audio").wait_for()
        return tab

    yield open_
    for context in contexts:
        context.close()
    assert not complaints
    assert [url for url in requests if not url.startswith((server.address, f"blob:{server.address}", "data:"))] == []
    assert server.files() == []


def drop(tab, content, name="speech.wav"):
    tab.set_input_files("input[type=file]", {"name": name, "mimeType": "audio/wav", "buffer": content})


def shares(tab):
    """Emotions and percents as they stand there."""
    tab.locator(".bars").wait_for()
    return [tuple(row.inner_text().split("\t")) for row in tab.locator(".bars tr").all()]


@pytest.mark.parametrize("width", [360, 1280])
def test_a_file_becomes_bars_of_every_emotion_and_fits_the_screen(opened, server, width):
    tab = opened(viewport={"width": width, "height": 740})
    drop(tab, speech())
    probabilities = server.predict(speech())[1]["answers"][0]["probabilities"]
    rows = shares(tab)
    assert [row[0].strip() for row in rows] == sorted(probabilities, key=lambda name: -probabilities[name])
    assert rows[0][-1].strip() == f"{100 * max(probabilities.values()):.0f} %"
    assert tab.locator("img").count() == 0
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [360, 1280])
def test_a_longer_file_has_a_timeline_that_is_put_into_words_too(opened, width):
    tab = opened(viewport={"width": width, "height": 740})
    drop(tab, speech(6))
    picture = tab.locator("figure img")
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 300
    assert re.match("Most probable: |The most probable emotion changes", picture.get_attribute("alt"))
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_what_is_longer_than_one_answer_is_the_mean_over_windows(opened):
    tab = opened()
    drop(tab, wav(tone(32), subtype="PCM_U8"))
    tab.get_by_text("The mean over 29 windows of 4 s, of a recording of 32.0 s.").wait_for()


def test_a_file_that_is_no_audio_is_reported_and_the_next_one_is_predicted(opened):
    tab = opened()
    drop(tab, BAD["text"][0], HOSTILE)
    alert = tab.get_by_role("alert").inner_text()
    assert alert == f"No prediction: {UNKNOWN}."
    tab.get_by_role("button", name="Clear").click()
    tab.get_by_text("The prediction will be shown here.").wait_for()
    drop(tab, speech())
    assert len(shares(tab)) == 8


def test_a_file_that_is_too_large_is_reported(opened):
    tab = opened()
    drop(tab, b"\0" * 3_000_000)
    tab.get_by_text("maximum allowed size").first.wait_for()


def test_a_recording_through_the_microphone_is_answered(opened):
    tab = opened(permissions=["microphone"])
    tab.get_by_role("button", name="Record audio").click()
    tab.get_by_role("button", name="Record", exact=True).click()
    tab.get_by_text("0:01").wait_for()
    tab.get_by_role("button", name="Stop", exact=True).first.click()
    assert len(shares(tab)) == 8
    assert "One prediction for the whole recording of" in tab.locator(".answer").inner_text()


def go_to(tab, name):
    """Tab until the button of this name has the focus."""
    wanted = tab.get_by_role("button", name=name, exact=True)
    for _ in range(20):
        tab.keyboard.press("Tab")
        if wanted.evaluate("button => button === document.activeElement"):
            return
    raise AssertionError(f"no Tab leads to {name}")


def file_chooser(tab):
    """Press until the chooser comes: on a busy machine a control is there before what listens to it."""
    for _ in range(10):
        try:
            with tab.expect_file_chooser(timeout=3000) as chooser:
                tab.keyboard.press("Enter")
        except pytest.importorskip("playwright.sync_api").TimeoutError:
            continue
        return chooser.value
    raise AssertionError("Enter opens no file chooser")


def test_everything_can_be_reached_and_used_from_the_keyboard(opened):
    tab = opened(permissions=["microphone"])
    go_to(tab, "Drop an audio file here to upload")
    file_chooser(tab).set_files({"name": "a.wav", "mimeType": "audio/wav", "buffer": speech()})
    assert len(shares(tab)) == 8
    go_to(tab, "Record audio")
    tab.keyboard.press("Space")
    tab.get_by_text("The prediction will be shown here.").wait_for()
    go_to(tab, "Record")
    tab.keyboard.press("Enter")
    tab.get_by_text("0:01").wait_for()
    go_to(tab, "Stop")
    tab.keyboard.press("Enter")
    assert len(shares(tab)) == 8


def test_the_checkpoint_is_described_before_the_first_prediction(opened):
    tab = opened()
    text = tab.locator(".evidence").inner_text()
    assert "tiny, trained on ravdess under protocol 'emobox'" in text
    assert "The report of its run is not beside it: how well it does is not known here." in text
    assert "24 professional actors who speak two English sentences" in text
    assert f"curl --data-binary @recording.wav '{tab.url}predict'" in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_of_ours_has_the_contrast_of_wcag_aa(opened, scheme):
    tab = opened(color_scheme=scheme)
    drop(tab, speech(6))
    tab.locator("figure img").wait_for()
    found = contrasts(tab, ".ours *")
    assert len(found) > 30
    assert min(found) >= 4.5
