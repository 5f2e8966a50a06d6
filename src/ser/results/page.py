"""report.html: one self-contained file with the number, what it is worth, and the two figures."""

import base64
from html import escape
from pathlib import Path
from typing import Any

from ser.files import write_text
from ser.results.report import Provenance

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1a1a1a }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
.numbers { display: flex; flex-wrap: wrap; gap: 2rem; margin: 1rem 0 }
.numbers b { display: block; font-size: 2.2rem; line-height: 1.1 }
.synthetic { background: #fff3cd; border-left: 4px solid #d08700; padding: .5rem 1rem }
img { max-width: 100%; height: auto } pre { overflow-x: auto; background: #f5f5f5; padding: 1rem }
"""


def write(folder: Path, provenance: Provenance, numbers: dict[str, float], used: dict[str, Any]) -> None:
    """Write the page of a finished run from the files that are already in its folder."""
    table = (folder / "classification_report.txt").read_text(encoding="utf-8")
    notice = f'<p class="synthetic">{escape(provenance.description)}</p>' if provenance.synthetic else ""
    headline = "".join(
        f"<div><b>{100 * value:.1f} %</b>{escape(name.replace('_', ' '))}</div>" for name, value in numbers.items()
    )
    machine = f"{used['processor']}, {used['cores']} cores" + "".join(f", {gpu}" for gpu in used["gpu"])
    packages = ", ".join(f"{name} {version}" for name, version in used["packages"].items())
    write_text(
        folder / "report.html",
        f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(provenance.title)}</title><style>{STYLE}</style></head><body>
<h1>{escape(provenance.title)}</h1>{notice}
<div class="numbers">{headline}</div>
<p>{escape(provenance.in_words)}</p>
<h2>Confusion matrix</h2>{picture(folder / "confusion_matrix.png", "Confusion matrix, counts by true emotion")}
<h2>Training</h2>{picture(folder / "training_graph.png", "Loss and accuracy against optimizer steps")}
<h2>Classification report</h2><pre>{escape(table)}</pre>
<h2>How it was made</h2><pre>{escape(used["command"])}</pre>
<p>{used["seconds"]} s on {escape(machine)}. Python {used["python"]}, {escape(packages)}.</p>
</body></html>
""",
    )


def picture(path: Path, description: str) -> str:
    content = base64.b64encode(path.read_bytes()).decode()
    return f'<img alt="{escape(description)}" src="data:image/png;base64,{content}">'
