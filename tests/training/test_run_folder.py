import json
from dataclasses import replace

import pytest
from conftest import composed

from ser.errors import UserError
from ser.training import run_folder
from ser.training.plan import planned


@pytest.fixture
def cfg(tmp_path):
    return composed("train", f"output_dir='{tmp_path / 'run'}'")


def begun(folder, cfg):
    with run_folder.opened(folder, cfg):
        pass
    return folder


def test_a_new_or_an_empty_folder_is_free(tmp_path, cfg):
    run_folder.claim(tmp_path / "run", cfg)
    (tmp_path / "run").mkdir()
    run_folder.claim(tmp_path / "run", cfg)


def test_a_finished_run_is_not_overwritten_unasked(tmp_path, cfg):
    folder = begun(tmp_path / "run", cfg)
    (folder / run_folder.FINISHED).write_text("{}")
    with pytest.raises(UserError, match="a finished run is here; overwrite=true"):
        run_folder.claim(folder, cfg)
    (folder / "mine.txt").write_text("keep")
    (folder / "checkpoint-100").mkdir()
    run_folder.claim(folder, replace(cfg, overwrite=True))
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


def test_an_unfinished_run_says_both_ways_on(tmp_path, cfg):
    folder = begun(tmp_path / "run", cfg)
    with pytest.raises(UserError, match=r"resume=true goes on with it, overwrite=true starts again"):
        run_folder.claim(folder, cfg)
    run_folder.claim(folder, replace(cfg, resume=True))


def test_a_folder_that_is_no_run_is_left_alone(tmp_path, cfg):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match="holds no run"):
        run_folder.claim(tmp_path / "run", replace(cfg, overwrite=True))


def test_a_resumed_run_keeps_its_settings(tmp_path, cfg):
    folder = begun(tmp_path / "run", cfg)
    other = composed("train", f"output_dir='{folder}'", "trainer.learning_rate=5e-5", "resume=true")
    with pytest.raises(UserError, match=r"trainer.learning_rate was 0.0001 in .* and is 5e-05 now"):
        run_folder.claim(folder, other)
    for free in ("tracking=none", "trainer.background_checkpoints=true", "trainer.save_total_limit=1"):
        run_folder.claim(folder, composed("train", f"output_dir='{folder}'", free, "resume=true"))


def test_a_run_that_never_began_leaves_no_folder(tmp_path, cfg):
    with pytest.raises(UserError), run_folder.opened(tmp_path / "run", cfg):
        raise UserError("no such checkpoint")
    assert not (tmp_path / "run").exists()


def test_a_run_that_had_begun_stays_with_the_reason_in_its_log(tmp_path, cfg):
    folder = begun(tmp_path / "run", cfg)
    with pytest.raises(UserError), run_folder.opened(folder, cfg):
        raise UserError("no space left")
    assert "no space left" in (folder / "run.log").read_text()


def test_the_config_is_written_as_plain_values(tmp_path, cfg):
    import yaml

    folder = begun(tmp_path / "run", cfg)
    written = yaml.safe_load((folder / "config.yaml").read_text())
    assert written["model"]["freeze"] == "cnn"
    assert written["trainer"]["learning_rate"] == 1e-4
    assert json.dumps(written["protocol"])


def folds(tmp_path, *overrides):
    cfg = composed("train", "protocol=emobox", f"output_dir='{tmp_path / 'run'}'", *overrides)
    return tmp_path / "run", planned(cfg)


def test_folds_may_join_one_that_was_run_by_itself(tmp_path):
    folder, runs = folds(tmp_path, "resume=true")
    begun_fold = begun_below(folder, runs[2])
    run_folder.claim_all(folder, runs)
    assert (begun_fold / run_folder.CONFIG).is_file()


def begun_below(folder, cfg):
    place = folder / f"fold{cfg.protocol.fold}"
    place.mkdir(parents=True)
    return begun(place, cfg)


def test_a_fold_that_is_there_is_not_overwritten_unasked(tmp_path):
    folder, runs = folds(tmp_path)
    begun_below(folder, runs[2])
    with pytest.raises(UserError, match="fold3: an unfinished run is here"):
        run_folder.claim_all(folder, runs)


def test_an_earlier_report_on_all_folds_goes_and_other_files_stay(tmp_path):
    folder, runs = folds(tmp_path, "resume=true")
    fold = begun_below(folder, runs[0])
    for name in (run_folder.CONFIG, "predictions.csv", "mine.txt"):
        (folder / name).write_text("x")
    run_folder.claim_all(folder, runs)
    assert {path.name for path in folder.iterdir()} == {"fold1", "mine.txt"}
    assert (fold / run_folder.CONFIG).is_file()


def test_folds_are_not_written_into_a_folder_of_something_else(tmp_path):
    folder, runs = folds(tmp_path)
    folder.mkdir()
    (folder / "thesis.csv").write_text("x")
    with pytest.raises(UserError, match="holds no run"):
        run_folder.claim_all(folder, runs)
    assert (folder / "thesis.csv").is_file()
