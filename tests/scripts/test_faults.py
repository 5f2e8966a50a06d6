import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from helpers.commands import PYTHON

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def ground(monkeypatch):
    """The module that the parts stand on."""
    monkeypatch.syspath_prepend(SCRIPTS)
    import faults_ground

    return faults_ground


def test_a_run_that_is_killed_loses_nothing_and_ends_in_no_traceback(tmp_path):
    out = tmp_path / "faults.md"
    words = ["--only", "kills", "--count", "1", "--seed", "3", "--out", out]
    result = subprocess.run([PYTHON, SCRIPTS / "faults.py", *words], capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    table = out.read_text()
    assert "Violations: none" in table
    assert "| SIGKILL | 1: " in table
    assert list(tmp_path.iterdir()) == [out]


WRITTEN = (
    "config.yaml", "environment.json", "predictions.csv", "test.csv", "tensorboard/events", "checkpoint/config.json",
    "checkpoint/model.safetensors", "checkpoint/preprocessor_config.json",
    *(f"checkpoint-{step}/{name}" for step in (1, 2) for name in ("model.safetensors", "trainer_state.json")),
)  # fmt: skip


def pretend(folder, words):
    """What a command leaves whose weights and answers are others each time it is given."""
    given = dict(word.split("=", 1) for word in words if "=" in word)
    content = os.urandom(8).hex().encode()
    with suppress(OSError):  # of a disk that is full or read-only
        if words[0] == "prepare-data":
            (folder / "data" / "audio").mkdir(parents=True)
            (folder / "data" / "audio" / "index.json").write_text("{}")
            (folder / "data" / "manifest.csv").write_text("path\n")
        for name in WRITTEN if words[0] == "train" else ():
            path = folder / given["output_dir"] / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if words[0] == "predict" and "output" in given:
            (folder / given["output"]).write_bytes(content)


@pytest.fixture
def pretending(ground, monkeypatch):
    """The parts, with a `ser` that accepts everything and forgets what it was given."""
    import faults

    class Pretending:
        def __init__(self, folder, *words, real=False, env=None):
            pretend(folder, words)
            self.process = subprocess.Popen(["sleep", "60"])
            self.pid = self.process.pid

        def wait(self, seconds):
            return None

        def end(self, limit=0):
            self.process.kill()
            self.process.wait()
            return ended(ground, "killed\n", code=-9)

    def ser(folder, *words, limit=0, real=False, env=None):
        pretend(folder, words)
        return ended(ground, "done\n", code=0)

    for module in [module for name, module in sys.modules.items() if name.startswith("faults_")]:
        monkeypatch.setattr(module, "ser", ser, raising=False)
        monkeypatch.setattr(module, "Running", Pretending, raising=False)
    return faults


@pytest.mark.parametrize(
    "name",
    [
        *("kills", "sigterm", "sigint", "preemption", "overwrite", "together", "preparation"),
        *("torn", "disk", "readonly", "hub", "tracker", "audio"),
    ],
)
def test_each_part_finds_a_command_that_loses_or_accepts_what_it_must_not(name, pretending, ground, tmp_path):
    run, _ = pretending.PARTS[name]
    part = run(ground.Ground(tmp_path, 0), 6 if name == "torn" else 1)  # some files are read by no command
    assert sum(part.tried.values()) or part.notes  # a disk of its own needs root
    assert part.violations or part.notes


def test_nonsense_is_drawn_for_each_parser(pretending, ground, tmp_path):
    run, _ = pretending.PARTS["fuzz"]
    part = run(ground.Ground(tmp_path, 0), 2)
    assert not part.violations
    assert {"file names", "the manifest", "folds_csv", "words of the command line", "commands"} <= part.tried.keys()


def test_a_parser_that_fails_on_nonsense_is_a_violation(pretending, ground, tmp_path):
    import faults_fuzz

    part = ground.Part("toy")
    faults_fuzz.try_all(part, ground.Ground(tmp_path, 0), "a parser", faults_fuzz.ANY, {}.__getitem__, 5)
    assert part.violations[0].startswith("a parser: KeyError")


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
