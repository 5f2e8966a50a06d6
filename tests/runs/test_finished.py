import csv
from itertools import product

import pytest
import yaml
from conftest import composed
from helpers.toy_runs import EMOTIONS, toy_run

from ser.comparison import blocks
from ser.errors import UserError
from ser.evaluation.predictions import SplitPredictions
from ser.reports import tables
from ser.runs import finished
from ser.runs.settings import decisive_settings, flatten, to_plain


def test_the_answers_of_a_run_are_read_back(tmp_path):
    run = toy_run(tmp_path / "run")
    assert list(run.predictions.emotions) == list(EMOTIONS)
    assert run.predictions.origins is None
    with (tmp_path / "run" / "predictions.csv").open() as file:
        assert next(csv.reader(file)) == ["path", "truth", "prediction", *EMOTIONS]


def test_pooled_predictions_name_their_run_and_older_files_are_read(tmp_path):
    run = toy_run(tmp_path / "run", seed=[0, 1])
    half = len(run.predictions.utterances) // 2
    origins = [(0, 2)] * half + [(1, None)] * half
    pooled = SplitPredictions(
        run.predictions.utterances, run.predictions.emotions, run.predictions.probabilities, origins
    )
    tables.write_predictions(tmp_path / "run" / "predictions.csv", pooled)
    again = finished.read(tmp_path / "run").predictions
    assert again.emotions == run.predictions.emotions
    assert sorted(again.origins, key=str) == sorted(origins, key=str)
    assert by_origin(again) == by_origin(pooled)


@pytest.mark.parametrize(
    ("name", "cut"),
    [
        *product(("classification_report.json", "environment.json", "predictions.csv"), ("", "half", "lines", "noise")),
        *product(("config.yaml",), ("", "noise")),
    ],
)
def test_a_damaged_file_of_a_finished_run_is_named(name, cut, tmp_path):
    toy_run(tmp_path / "run")
    path = tmp_path / "run" / name
    content = path.read_bytes()
    lines = b"".join(content.splitlines(keepends=True)[:-2])
    path.write_bytes(
        {"": b"", "half": content[: len(content) // 2 - 3], "lines": lines, "noise": b"\xff\x00\x80" * 20}[cut]
    )
    with pytest.raises(UserError, match=rf"{name}: the file is damaged"):
        finished.read(tmp_path / "run")


@pytest.mark.parametrize("name", ["config.yaml", "predictions.csv", "test.csv"])
def test_a_missing_file_of_a_finished_run_is_named(name, tmp_path):
    toy_run(tmp_path / "run")
    (tmp_path / "run" / name).unlink()
    with pytest.raises(UserError, match=name):
        finished.read(tmp_path / "run")


def by_origin(scored):
    rows = zip(scored.utterances, scored.origins, scored.labels, strict=True)
    return {(row.path, origin): prediction for row, origin, prediction in rows}


def test_what_does_not_change_a_run_makes_no_other_experiment_of_it(tmp_path):
    runs = []
    for seed, given in ((0, ()), (1, ("hub.repo=a/b", "trainer.background_checkpoints=true", "data_dir=/elsewhere"))):
        toy_run(tmp_path / str(seed), seed=seed)
        settings = plain_settings(f"seed={seed}", *given)
        (tmp_path / str(seed) / "config.yaml").write_text(yaml.safe_dump(settings))
        runs.append(finished.read(tmp_path / str(seed)))
    assert len(blocks.find_repeated(runs)) == 1
    runs[1].settings["trainer"]["learning_rate"] = 1.0
    assert blocks.find_repeated(runs) == []


def plain_settings(*overrides):
    from dataclasses import asdict

    return to_plain(asdict(composed("train", *overrides)))


def test_what_decides_is_left_of_the_settings():
    settings = plain_settings()
    keys = decisive_settings(settings).keys()
    assert {"trainer.learning_rate", "model.pretrained", "seed", "audio.trim"} <= keys < flatten(settings).keys()
    assert not {"hub.push", "output_dir", "data_dir", "trainer.save_total_limit"} & keys
