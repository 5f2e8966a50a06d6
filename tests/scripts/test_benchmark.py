import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.commands import PYTHON

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The benchmark of a toy shape on clips of its own."""
    folder = tmp_path_factory.mktemp("benchmark")
    arguments = ("--model", "tiny", "--clips", "24", "--steps", "4", "--rounds", "1", "--json", folder / "numbers.json")
    result = subprocess.run([PYTHON, SCRIPTS / "benchmark.py", *arguments], capture_output=True, text=True, cwd=folder)
    assert result.returncode == 0, result.stderr
    return result.stdout, json.loads((folder / "numbers.json").read_text())


def test_both_sides_do_the_same_work_and_each_phase_is_timed(report):
    _, numbers = report
    assert list(numbers["sides"]) == ["naive", "naive, bf16", "fast", "fast, trimmed"]
    for side in numbers["sides"].values():
        (measured,) = side["rounds"]
        for phase in ("training", "evaluation", "checkpoints", "memory"):
            assert measured[phase] > 0, phase
    # The same random weights and labels: both begin near ln 8.
    losses = [side["rounds"][0]["loss"] for side in numbers["sides"].values()]
    assert losses == pytest.approx([2.08] * 4, abs=0.1)
    # The plain way in another precision: nearly the same losses, which are the same numbers without it.
    assert losses[1] != losses[0]
    assert losses[1] == pytest.approx(losses[0], rel=1e-2)


def test_the_table_states_what_differs(report):
    table, _ = report
    assert "| training, a step |" in table
    assert "- naive, bf16: the same with the Trainer's `bf16=True`" in table
    assert "- fast: bf16; batches of 8 of like length" in table
    assert "- fast, trimmed: other input" in table


def test_warm_up_evaluations_and_checkpoints_are_left_out_of_the_time_of_a_step(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from benchmark import seconds_of_a_step

    losses = [{"step": step, "loss": 1.0, "seconds": seconds} for step, seconds in ((2, 50), (4, 54), (6, 80), (8, 84))]
    evaluation = {"step": 4, "eval_loss": 1.0, "seconds": 70}
    assert seconds_of_a_step([*losses[:2], evaluation, *losses[2:]]) == 2


def test_the_arithmetic_of_a_step_is_that_of_the_published_shapes():
    sys.path.insert(0, str(SCRIPTS))
    from benchmark_inputs import flops_per_step

    # 8 clips of 3.7 s with the CNN frozen: 0.97 and 2.98 TFLOP.
    assert flops_per_step("base") == pytest.approx(0.97e12, rel=0.01)
    assert flops_per_step("large") == pytest.approx(2.98e12, rel=0.01)


def test_its_default_arguments_are_accepted(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import benchmark

    monkeypatch.setattr(sys, "argv", ["benchmark.py", "--model", "base"])
    given = benchmark.arguments()
    assert given.steps % (2 * given.warmup) == 0
