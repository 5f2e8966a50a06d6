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
