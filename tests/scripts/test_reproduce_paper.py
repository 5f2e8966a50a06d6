import os
import subprocess
from pathlib import Path

from helpers.commands import LAUNCHERS

SCRIPT = Path(__file__).parents[2] / "scripts" / "reproduce_paper.sh"


def reproduce(folder, *arguments):
    environment = {
        **os.environ, "MODELS": "tiny", "PATH": os.pathsep.join([str(LAUNCHERS), os.environ["PATH"]]),
    }  # fmt: skip
    return subprocess.run(["bash", SCRIPT, *arguments], cwd=folder, env=environment, capture_output=True, text=True)


def test_the_script_trains_and_puts_no_published_number_beside_lists_that_are_not_the_papers(corpus_root, tmp_path):
    quick = (
        "trainer=scratch", "trainer.max_steps=1", "trainer.eval_strategy=steps", "trainer.save_steps=1",
        "trainer.eval_steps=1", "tracking=none",
    )  # fmt: skip
    for attempt in ("first", "again"):
        result = reproduce(tmp_path, corpus_root, *quick)
        assert result.returncode == 0, (attempt, result.stderr)
    assert "is finished already" in result.stderr
    assert "| tiny" in result.stdout
    assert "| published" not in result.stdout
    assert (tmp_path / "comparison" / "comparison.html").is_file()


def test_without_a_corpus_the_script_states_how_it_is_called(tmp_path):
    result = reproduce(tmp_path)
    assert result.returncode != 0
    assert "usage: bash scripts/reproduce_paper.sh RAVDESS" in result.stderr
