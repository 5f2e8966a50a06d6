import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
PARTS = "kills,sigterm,disk,torn"


@pytest.fixture
def ground(monkeypatch):
    """The module that the parts stand on."""
    monkeypatch.syspath_prepend(SCRIPTS)
    import faults_ground

    return faults_ground


def test_a_few_faults_of_each_kind_lose_nothing_and_end_in_no_traceback(tmp_path):
    out = tmp_path / "faults.md"
    command = [sys.executable, SCRIPTS / "faults.py", "--only", PARTS, "--count", "1", "--seed", "3", "--out", out]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Violations: none" in out.read_text()
    rows = [line.strip("| ").split(" | ") for line in out.read_text().splitlines() if line.startswith("| SIG")]
    assert [(row[0], row[1].split(":")[0]) for row in rows] == [("SIGKILL", "1"), ("SIGTERM", "1")]
    assert list(tmp_path.iterdir()) == [out]


def ended(ground, output, code=1):
    return ground.Ended(code, output, 1.0, hung=False)


def test_a_traceback_a_hang_and_a_wrong_acceptance_are_violations(ground):
    part = ground.Part("toy")
    ground.refused(part, ended(ground, "ser: seed=-1: it must be 0 or more\n"), "a line")
    assert not part.violations
    ground.tidy(part, ended(ground, "Traceback (most recent call last)\nKeyError: 1"), "a traceback")
    ground.tidy(part, ground.Ended(-9, "", 240.0, hung=True), "a hang")
    ground.refused(part, ended(ground, "done\n", code=0), "an acceptance")
    assert [said.split(":")[0] for said in part.violations] == ["a traceback", "a hang", "an acceptance"]


def test_other_weights_and_lost_files_of_a_run_are_violations(ground, tmp_path):
    for run, weights in (("before", b"1"), ("after", b"2")):
        (tmp_path / run / "fold1" / "checkpoint").mkdir(parents=True)
        (tmp_path / run / "fold1" / "checkpoint" / "model.safetensors").write_bytes(weights)
    (tmp_path / "before" / "fold1" / "predictions.csv").write_text("clip,angry\n")
    part = ground.Part("toy")
    before, after = ground.results(tmp_path / "before"), ground.results(tmp_path / "after")
    ground.compare(part, before, before, "the same")
    assert not part.violations
    ground.compare(part, before, after, "others")
    assert part.violations == [
        "others: other than uninterrupted: fold1/checkpoint/model.safetensors, fold1/predictions.csv"
    ]


def test_a_pooled_report_is_compared_without_the_seconds_its_runs_took(ground, tmp_path):
    for name, seconds, score in (("a", 1.5, 0.5), ("b", 2.5, 0.5), ("c", 1.5, 0.25)):
        (tmp_path / name).mkdir()
        report = f'{{"spread": {{"runs": [{{"seconds": {seconds}, "accuracy": {score}}}]}}}}'
        (tmp_path / name / "classification_report.json").write_text(report)
    a, b, c = (ground.results(tmp_path / name) for name in "abc")
    assert a == b
    assert a != c
