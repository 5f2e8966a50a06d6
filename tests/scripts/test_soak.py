"""scripts/soak.py with few requests, as a user runs it."""

import subprocess
from pathlib import Path

import pytest
from helpers.commands import PYTHON

pytest.importorskip("gradio", reason="ser-finetune[serve] is not installed")

SCRIPT = Path(__file__).parents[2] / "scripts" / "soak.py"
KINDS = (
    "good clip", "windows", "broken audio", "too large", "form to the API", "wrong option", "foreign page",
    "slow sender", "cancelled", "page",
)  # fmt: skip


def test_requests_of_every_kind_get_the_status_and_the_answer_that_are_due():
    done = subprocess.run([PYTHON, SCRIPT, "--requests", "150"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for kind in KINDS:
        assert f"\n{kind} " in done.stdout
    assert '"busy":0' in done.stdout
    assert "150 requests are too few to tell" in done.stdout
    assert "the server ended with 0; its log has 2 lines" in done.stdout
