import json
import shutil
from collections import namedtuple
from dataclasses import replace

import pytest
from conftest import composed

from ser.errors import UserError
from ser.training import run_folder


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
    run_folder.claim(folder, composed("train", f"output_dir='{folder}'", "tracking=none", "resume=true"))


def test_a_run_that_never_began_leaves_no_folder(tmp_path, cfg):
    with pytest.raises(UserError), run_folder.opened(tmp_path / "run", cfg):
        raise UserError("no such checkpoint")
    assert not (tmp_path / "run").exists()


def test_a_run_that_had_begun_stays_with_the_reason_in_its_log(tmp_path, cfg):
    folder = begun(tmp_path / "run", cfg)
    with pytest.raises(UserError), run_folder.opened(folder, cfg):
        raise UserError("no space left")
    assert "no space left" in (folder / "run.log").read_text()


def test_a_checkpoint_whose_writing_was_interrupted_is_not_resumed_from(tmp_path):
    for step, state in ((100, "{}"), (900, "{}"), (1000, '{"cut'), (1100, None)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if state:
            (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(state)
    assert run_folder.last_checkpoint(tmp_path) == tmp_path / "checkpoint-900"
    assert run_folder.last_checkpoint(tmp_path / "checkpoint-100") is None


def test_a_disk_too_small_for_the_checkpoints_is_refused_before_training(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 10 * 10**9))
    run_folder.check_space(tmp_path, 95_000_000, 90_000_000, checkpoints=2)
    with pytest.raises(UserError, match=r"no space left: .* needs 12.54 GB for 2 checkpoints, 10.00 GB are free"):
        run_folder.check_space(tmp_path, 316_000_000, 312_000_000, checkpoints=2)


def test_the_config_is_written_as_plain_values(tmp_path, cfg):
    import yaml

    folder = begun(tmp_path / "run", cfg)
    written = yaml.safe_load((folder / "config.yaml").read_text())
    assert written["model"]["freeze"] == "cnn"
    assert written["trainer"]["learning_rate"] == 1e-4
    assert json.dumps(written["protocol"])
