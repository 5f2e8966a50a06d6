import csv
import shutil

import pytest
from conftest import composed

from ser.commands.train import train

QUICK = (
    "model=tiny", "trainer=scratch", "tracking=none", "trainer.max_steps=4", "trainer.eval_strategy=steps",
    "trainer.eval_steps=2", "trainer.save_steps=2", "trainer.logging_steps=1", "model.freeze=cnn",
)  # fmt: skip


@pytest.fixture(scope="module")
def data(data_dir, tmp_path_factory):
    """A prepared folder of our own: the cached features go below it."""
    folder = tmp_path_factory.mktemp("inputs") / "data"
    shutil.copytree(data_dir, folder)
    return folder


def losses(data, folder, *overrides):
    train(composed("train", *QUICK, f"data_dir='{data}'", f"output_dir='{folder}'", *overrides))
    rows = list(csv.DictReader((folder / "history.csv").open()))
    return [float(row[name]) for row in rows for name in ("train_loss", "eval_loss") if row[name]]


def test_a_run_that_reads_the_cnns_output_from_a_file_is_the_run_that_computes_it(data, tmp_path):
    plain = losses(data, tmp_path / "plain")
    assert losses(data, tmp_path / "cached", "trainer.cache_features=true") == pytest.approx(plain, rel=1e-4)
    assert "output of the frozen CNN" in (tmp_path / "cached" / "run.log").read_text()
    answers = [
        [row["prediction"] for row in csv.DictReader((tmp_path / name / "predictions.csv").open())]
        for name in ("plain", "cached")
    ]
    assert answers[0] == answers[1]


def test_trimmed_clips_have_features_of_their_own(data, tmp_path):
    losses(data, tmp_path / "whole", "trainer.cache_features=true")
    before = set((data / "features").iterdir())
    losses(data, tmp_path / "trimmed", "trainer.cache_features=true", "audio.trim=true")
    # The toy corpus is tones from end to end: nothing is cut, and so the same file serves.
    assert set((data / "features").iterdir()) == before
    assert "read from" in (tmp_path / "trimmed" / "run.log").read_text()


def test_where_the_cnn_is_trained_nothing_is_cached_and_the_log_says_why(data, tmp_path):
    losses(data, tmp_path / "run", "trainer.cache_features=true", "model.freeze=none")
    said = (tmp_path / "run" / "run.log").read_text()
    assert "nothing is cached, because model.freeze lets the CNN be trained" in said


def test_batches_of_like_length_are_another_order_of_the_same_clips(data, tmp_path):
    assert losses(data, tmp_path / "bucketed", "trainer.bucket_by_length=true") != losses(data, tmp_path / "plain")
