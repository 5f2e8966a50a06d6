"""The page as a browser shows it; skipped where there is none."""

import pytest
from helpers.browsers import contrasts, started
from helpers.toy_pages import HOSTILE, write_full, write_hostile
from helpers.toy_runs import toy_run

from ser.comparison import blocks, tables


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    folder = tmp_path_factory.mktemp("full")
    write_full(folder)
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser():
    with started() as running:
        yield running


@pytest.fixture
def opened(browser):
    """Opens a file; at the end, nothing may have gone wrong in it or left the machine."""
    contexts, complaints, requests = [], [], []

    def complain(dialog):
        complaints.append(dialog.message)
        dialog.dismiss()

    def open_(path, **options):
        context = browser.new_context(**options)
        context.set_default_timeout(5000)
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("dialog", complain)
        context.on("request", lambda request: requests.append(request.url))
        tab.goto(path.as_uri())
        return tab

    yield open_
    for context in contexts:
        context.close()
    assert not complaints
    assert [url for url in requests if not url.startswith(("data:", "file:"))] == []
    assert sum(url.startswith("file:") for url in requests) == len(contexts)


def test_every_picture_is_drawn_and_every_player_named(opened, full):
    tab = opened(full)
    for picture in tab.locator("img").all():
        assert picture.get_attribute("alt").strip()
        assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 300
    names = [player.get_attribute("aria-label") for player in tab.locator("audio").all()]
    assert len(set(names)) == 8
    assert all(" predicted as " in name for name in names)


def test_every_recording_can_be_played(opened, full):
    tab = opened(full)
    loaded = """players => Promise.all(players.map(player => new Promise((resolve, reject) => {
        const done = () => resolve(player.duration);
        player.onerror = () => reject(player.error.message);
        player.readyState > 0 ? done() : player.onloadedmetadata = done;
        player.load();
    })))"""
    durations = tab.locator("audio").evaluate_all(loaded)
    assert durations == pytest.approx([0.5] * 8, abs=0.01)


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_wider_than_the_screen_even_unfolded(opened, full, width):
    tab = opened(full, viewport={"width": width, "height": 740})
    headline = tab.locator(".value").first.bounding_box()
    assert headline["x"] >= 0
    assert headline["x"] + headline["width"] <= width
    assert headline["y"] + headline["height"] <= 740
    tab.locator("details").evaluate_all("all => all.forEach(one => { one.open = true })")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_the_contrast_of_wcag_aa(opened, full, scheme):
    found = contrasts(opened(full, color_scheme=scheme), "body *")
    assert len(found) > 100
    assert min(found) >= 4.5


def test_links_and_folded_tables_work_from_the_keyboard(opened, full):
    tab = opened(full)
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.hash") == "#runs"
    folded = tab.locator("details:not([open]) > summary").first
    folded.focus()
    tab.keyboard.press("Enter")
    assert tab.locator("details:has(> summary:focus)").get_attribute("open") is not None


def test_a_hostile_name_is_shown_and_does_nothing(opened, tmp_path):
    write_hostile(tmp_path)
    tab = opened(tmp_path / "report.html")
    assert tab.locator("script").count() == 0
    assert tab.locator("img").count() == 3
    assert tab.locator("main b b").count() == 0
    assert tab.title() != "owned"
    assert HOSTILE in tab.locator(".command").inner_text()
    assert HOSTILE in tab.locator(".file").first.inner_text()


@pytest.mark.parametrize("width", [360, 1280])
def test_a_comparison_of_runs_fits_the_screen_and_asks_nobody_for_anything(opened, tmp_path, width):
    runs = [toy_run(tmp_path / name, model=name, hits=hits) for name, hits in (("good", 0.9), ("poor", 0.5))]
    tables.write(tmp_path / "comparison", blocks.group_runs(runs), published=False)
    tab = opened(tmp_path / "comparison" / "comparison.html", viewport={"width": width, "height": 740})
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert "good (seed 0)" in tab.locator("img").get_attribute("alt")
    assert tab.locator("table").count() == 2


def test_the_tables_of_a_comparison_fit_a_laptop(opened, tmp_path):
    rates = ((1e-4, 0.9), (2e-4, 0.2))
    runs = [toy_run(tmp_path / str(rate), learning_rate=rate, hits=hits, validation=0.5) for rate, hits in rates]
    tables.write(tmp_path / "comparison", blocks.group_runs(runs), published=False)
    tab = opened(tmp_path / "comparison" / "comparison.html", viewport={"width": 1024, "height": 740})
    assert "trainer.learning_rate=0.0002" in tab.locator("tbody").first.inner_text()
    for table in tab.locator(".scroll").all():
        assert table.evaluate("element => element.scrollWidth <= element.clientWidth")
    assert "< 0.001" in tab.locator("tbody").last.inner_text()
