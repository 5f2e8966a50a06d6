"""The machine's own browser, for tests of what people look at."""

import shutil
from contextlib import contextmanager

import pytest

BROWSERS = ("chromium", "google-chrome")
QUIET = (
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""It asks the network for nothing by itself."""


@contextmanager
def started(*flags):
    """Chromium or Chrome without a window; skips where there is none, or no playwright."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is here")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=program, args=[*QUIET, *flags])
        yield opened
        opened.close()


CONTRASTS = """selector => {
    const parts = colour => colour.match(/[\\d.]+/g).map(Number);
    const light = colour => parts(colour).slice(0, 3).map(part => part / 255)
        .map(part => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
        .reduce((sum, part, place) => sum + part * [0.2126, 0.7152, 0.0722][place], 0);
    const ground = element => {
        const colour = getComputedStyle(element).backgroundColor;
        return parts(colour)[3] === 0 && element.parentElement ? ground(element.parentElement) : colour;
    };
    return [...document.querySelectorAll(selector)]
        .filter(element => [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim()))
        .map(element => {
            const pair = [light(getComputedStyle(element).color), light(ground(element))].sort((a, b) => a - b);
            return (pair[1] + 0.05) / (pair[0] + 0.05);
        });
}"""
"""The contrast of each element that has text of its own with the nearest background that is painted."""


def contrasts(tab, selector):
    """The contrast ratios of the texts in the selected elements, as WCAG computes them."""
    return tab.evaluate(CONTRASTS, selector)
