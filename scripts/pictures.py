"""Draw the README's two pictures anew: the report of a run, and the page of `ser serve` with a prediction.

    python scripts/pictures.py runs/synthetic-emobox-tiny-seed0/fold1 RECORDING.wav

Needs Chromium or Chrome and playwright (`pip install ".[dev]"`).
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

FOLDER = Path(__file__).parent / "pictures"
BROWSERS = ("chromium", "google-chrome")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run folder")
    parser.add_argument("recording", type=Path, help="what the page predicts")
    given = parser.parse_args()
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        sys.exit(f"none of {', '.join(BROWSERS)} is here")
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 900, "height": 900})
        page.goto((given.run / "report.html").resolve().as_uri())
        page.screenshot(path=FOLDER / "report.png")
        page.set_viewport_size({"width": 900, "height": 760})
        draw_server(page, given.run, given.recording)
        browser.close()


def draw_server(page: Page, run: Path, recording: Path) -> None:
    """Serve the run, give the page a recording and draw the prediction."""
    command = [sys.executable, "-m", "ser", "serve", f"checkpoint={run}", "port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        page.goto(server.stdout.readline().strip())
        page.set_input_files("input[type=file]", recording)
        page.locator(".bars").wait_for()
        page.wait_for_timeout(1000)  # it fades in
        page.screenshot(path=FOLDER / "page.png")
        server.terminate()


if __name__ == "__main__":
    main()
