import pytest
import torch
import yaml
from conftest import composed
from helpers.commands import ser

from ser.apps import SCHEMAS
from ser.command_line import hydra_words
from ser.config import Evaluate, Export, Predict, Train, old_keys
from ser.config.old_keys import RENAMED, current_settings, current_word, has_key
from ser.errors import UserError
from ser.runs import settings


@pytest.fixture
def without_trim(monkeypatch):
    monkeypatch.setitem(old_keys.REMOVED, "trainer.trim", "audio.trim does it")


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_an_old_name_is_free_and_its_new_name_is_a_key(old, new):
    assert any(has_key(schema, new) for schema in SCHEMAS.values())
    assert not any(has_key(schema, old) for schema in SCHEMAS.values())


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("longest=10", "max_seconds=10"),
        ("++longest=10", "++max_seconds=10"),
        ("~longest", "~max_seconds"),
        ("longest=combine=3", "max_seconds=combine=3"),
        ("longest", "longest"),
        ("longest.wav=1", "max_seconds.wav=1"),
        ("longestwav=1", "longestwav=1"),
        ("max_seconds=10", "max_seconds=10"),
        ("/a/longest=10", "/a/longest=10"),
    ],
)
def test_an_override_gets_the_name_of_today(word, expected):
    assert current_word(word, Predict) == expected


def test_a_command_without_the_key_does_not_get_it():
    assert current_word("longest=10", Evaluate) == "longest=10"
    with pytest.raises(UserError, match="Key 'longest' not in 'Evaluate'"):
        hydra_words(["longest=10"], Evaluate)


def test_a_file_of_an_old_name_is_no_key():
    assert hydra_words(["--audio", "longest=10"], Predict) == ["audio='longest=10'"]


def test_an_old_name_ends_a_list_of_paths():
    words = hydra_words(["--checkpoint", "a", "b", "longest=10"], Predict)
    assert words == ["checkpoint=[a,b]", "max_seconds=10"]


def test_an_old_name_works_and_one_line_names_the_new_one():
    result = ser("predict", "checkpoint=a", "audio=b", "longest=5", "longest=7", "--cfg", "job")
    assert yaml.safe_load(result.stdout)["max_seconds"] == 7
    assert result.stderr == "ser: longest is called max_seconds now; the next release no longer takes the old name\n"


def test_the_keys_inside_a_mapping_are_named_in_full(capsys):
    words = hydra_words(["+trainer.hf.tf32=true", "+trainer.hf.seed=1"], Train)
    assert words == ["+trainer.extra_training_args.tf32=true", "+trainer.extra_training_args.seed=1"]
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_a_key_that_is_gone_is_refused_with_the_reason(without_trim):
    with pytest.raises(UserError, match=r"^trainer\.trim: this key is gone: audio\.trim does it$"):
        hydra_words(["trainer.trim=true"], Train)
    with pytest.raises(UserError, match="Key 'trainer' not in 'Predict'"):
        hydra_words(["trainer.trim=true"], Predict)


def test_the_settings_of_an_earlier_run_lose_what_is_gone(without_trim):
    earlier = {"trainer": {"trim": True, "optim": "sgd"}, "audit": "warn", "seed": 1}
    assert current_settings(earlier) == {"trainer": {"optim": "sgd"}, "on_leak": "warn", "seed": 1}
    assert earlier["trainer"] == {"trim": True, "optim": "sgd"}


@pytest.mark.parametrize("odd", [{"trainer": None}, {"trainer": 3}, {"trainer": {}}, {}])
def test_settings_without_a_group_are_left_as_they_are(odd):
    assert current_settings(odd) == odd


def written_by_an_earlier_release(folder, cfg):
    """The run folder of a config, with every key under the name of the earlier release."""
    settings.write_config(folder, cfg)
    values = yaml.safe_load((folder / "config.yaml").read_text())
    for old, new in RENAMED.items():
        holder, leaf = old_keys.parent_of(values, new)
        if leaf in holder:
            value = holder.pop(leaf)
            holder, leaf = old_keys.parent_of(values, old)
            holder[leaf] = value
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    return values


def test_a_run_of_an_earlier_release_is_resumed_and_its_settings_still_count(tmp_path, without_trim):
    cfg = composed("train", "+trainer.extra_training_args.adam_beta2=0.5")
    values = written_by_an_earlier_release(tmp_path, cfg)
    assert values["trainer"]["hf"] == {"adam_beta2": 0.5}
    assert values["audit"] == "warn"
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**values, "trainer": {**values["trainer"], "trim": True}}))
    settings.check_same_settings(tmp_path, cfg)
    with pytest.raises(UserError, match=r"trainer\.extra_training_args\.adam_beta2 was 0\.5 in .*, and is 0\.9 now"):
        settings.check_same_settings(tmp_path, composed("train", "+trainer.extra_training_args.adam_beta2=0.9"))


def begun_with(folder, **keys):
    """The folder of a run that an earlier release began in float32, with keys that are gone."""
    cfg = composed("train", "trainer.precision=fp32")
    settings.write_config(folder, cfg)
    values = yaml.safe_load((folder / "config.yaml").read_text())
    values["trainer"].update(keys)
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    return cfg


def test_an_unfinished_run_that_would_draw_other_numbers_today_is_not_resumed(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "default_device", lambda: torch.device("cpu"))
    cfg = begun_with(tmp_path, attention="auto", quick_dropout=True, save_optimizer_every=2)
    with pytest.raises(UserError, match=r"was begun with trainer\.attention=auto and trainer\.quick_dropout=True"):
        settings.check_same_settings(tmp_path, cfg)
    (tmp_path / "environment.json").touch()
    settings.check_same_settings(tmp_path, cfg)  # it is finished: nothing is computed


@pytest.mark.parametrize(
    ("device", "keys"),
    [("cpu", {"attention": "sdpa", "quick_dropout": False}), ("cuda", {"attention": "auto", "quick_dropout": True})],
)
def test_an_unfinished_run_that_draws_the_same_numbers_today_is_resumed(device, keys, tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "default_device", lambda: torch.device(device))
    settings.check_same_settings(tmp_path, begun_with(tmp_path, **keys, save_optimizer_every=2))


def test_a_key_that_is_gone_is_refused_on_the_command_line():
    for word in ("trainer.attention=eager", "trainer.quick_dropout=true", "trainer.save_optimizer_every=2"):
        with pytest.raises(UserError, match=r"^trainer\.\w+: this key is gone: "):
            hydra_words([word], Train)
    with pytest.raises(UserError, match=r"^format: this key is gone: ONNX is the only format"):
        hydra_words(["format=onnx"], Export)


def test_a_key_that_a_later_release_added_makes_no_difference_while_it_is_off(tmp_path):
    cfg = composed("train")
    settings.write_config(tmp_path, cfg)
    content = yaml.safe_load((tmp_path / "config.yaml").read_text())
    del content["trainer"]["balanced_corpora"]
    content["corpus"] = {"name": "ravdess"}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    settings.check_same_settings(tmp_path, cfg)
    with pytest.raises(UserError, match=r"trainer\.balanced_corpora was None"):
        settings.check_same_settings(tmp_path, composed("train", "trainer.balanced_corpora=true"))
