import pytest
from conftest import composed
from helpers.tiny_runs import run

from ser.commands.compare import compare, find_runs
from ser.errors import UserError


@pytest.fixture(scope="module")
def runs(data_dir, tmp_path_factory):
    """A finished run under each of two protocols, and one that did not finish."""
    folder = tmp_path_factory.mktemp("compared")
    run(data_dir, folder / "drawn", "trainer.max_steps=1")
    run(
        data_dir,
        folder / "folds",
        "protocol=custom",
        "+protocol.test_speakers={1: [1, 2], 2: [3]}",
        "trainer.max_steps=1",
    )
    run(data_dir, folder / "unfinished", "trainer.max_steps=1")
    (folder / "unfinished" / "environment.json").unlink()
    return folder


def names(given):
    return [found_run.folder.name for found_run in find_runs(composed("compare", f"runs={given}").runs)]


def test_runs_are_folders_patterns_or_folders_of_runs(runs):
    assert names(f"'{runs / 'drawn'}'") == ["drawn"]
    assert names(f"['{runs / 'drawn'}','{runs / 'folds'}']") == ["drawn", "folds"]
    assert names(f"'{runs}/f*'") == ["folds"]
    assert names(f"'{runs / 'folds' / 'fold*'}'") == ["fold1", "fold2"]
    assert names(f"['{runs}','{runs / 'drawn'}']") == ["drawn", "folds"]


def test_an_unfinished_run_is_left_out_and_named(runs, caplog):
    with caplog.at_level("WARNING", "ser"):
        assert names(f"'{runs}/*'") == ["drawn", "folds"]
    assert "not finished, skipped" in caplog.text
    assert "unfinished" in caplog.text


@pytest.mark.parametrize(
    ("given", "message"), [("nowhere", "no finished run there"), ("unfinished", "no finished run in it")]
)
def test_what_is_no_run_is_named(given, message, runs):
    with pytest.raises(UserError, match=message):
        find_runs([str(runs / given)])


def test_the_comparison_of_real_runs_is_printed_and_written(runs, tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("x")
    compare(composed("compare", f"runs='{runs}'", f"output_dir='{tmp_path}'"))
    printed = capsys.readouterr().out
    assert "## ravdess, protocol paper" in printed
    assert "## ravdess, protocol custom, 2 folds" in printed
    assert "| published" not in printed
    assert (tmp_path / "comparison.html").is_file()
    assert (tmp_path / "mine.txt").is_file()


def test_the_papers_numbers_do_not_stand_beside_other_lists(runs, tmp_path, capsys):
    compare(composed("compare", f"runs='{runs / 'drawn'}'", f"output_dir='{tmp_path}'", "published=true"))
    assert "| published" not in capsys.readouterr().out
