import tempfile
from pathlib import Path

import pytest
import transformers
from conftest import composed
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationToMissingValueError

from ser.apps import CONFIGS, SCHEMAS, checked
from ser.config import Choose, EvalStrategy
from ser.data.groups import resolve_protocol
from ser.data.protocols import split_corpus
from ser.errors import UserError

FILES = sorted(path for path in Path(CONFIGS).rglob("*.yaml") if not path.stem.startswith("_"))
OPTIONS = [path.relative_to(CONFIGS).with_suffix("").as_posix() for path in FILES if path.parent != Path(CONFIGS)]
COMMANDS = sorted(path.stem for path in FILES if path.parent == Path(CONFIGS))


def test_every_known_config_is_found():
    assert {"compare", "evaluate", "export", "prepare_data", "push", "train"} <= set(COMMANDS)
    assert {
        "corpus/ravdess",
        "corpus/synthetic",
        "experiment/laptop",
        "model/hubert_large",
        "model/moonshine_tiny",
        "model/tiny",
        "model/wav2vec2_base",
        "model/xlsr_1b",
        "model/xlsr_300m",
        "protocol/actors_kfold",
        "protocol/custom",
        "protocol/emobox",
        "protocol/leave_one_actor_out",
        "protocol/luna_jimenez",
        "protocol/paper",
        "protocol/statement",
        "tracking/none",
        "tracking/tensorboard",
        "tracking/wandb",
        "trainer/fast",
        "trainer/paper",
    } <= set(OPTIONS)


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_is_a_valid_training_config(option):
    group, _, name = option.rpartition("/")
    needed = {
        "model/any": ["model.pretrained=organisation/name"],
        "protocol/custom": ["protocol.folds_csv=folds.csv"],
        "protocol/table": ["protocol.folds_csv=folds.csv"],
    }.get(option, [])
    assert composed("train", f"{group}={name}", *needed)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_config_opens_with_the_command_that_uses_it(path):
    lines = path.read_text().splitlines()
    assert any(line.startswith("# ser ") for line in lines[:2])


@pytest.mark.parametrize(("group", "key"), [("model", "name"), ("trainer", "num_train_epochs")])
def test_a_base_is_no_choice_by_itself(group, key):
    with pytest.raises((UserError, InterpolationToMissingValueError), match=rf"{group}\.{key}"):
        composed("train", f"{group}=_base")


@pytest.mark.parametrize("group", ["model", "trainer"])
def test_a_file_of_a_group_shows_only_what_is_particular_to_it(group):
    base = OmegaConf.to_container(OmegaConf.load(Path(CONFIGS) / group / "_base.yaml"))
    for option in (option for option in OPTIONS if option.startswith(f"{group}/")):
        own = OmegaConf.to_container(OmegaConf.load(Path(CONFIGS) / f"{option}.yaml"))
        repeated = [
            key
            for key in own.keys() & base.keys()
            if own[key] == base[key] and key not in ("encoder_config", "pretrained")
        ]
        if not own["defaults"][0].startswith("_"):  # a variant of another file may go back to the base
            continue
        assert not repeated, option


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["model=tiny", "trainer=scratch", "protocol=emobox", "protocol.fold=2", "seed=3"],
        ["experiment=quickstart", "trainer.max_steps=4", "+trainer.extra_training_args.tf32=true"],
        ["trainer.nonsense=1"],
        ["model=tiny", "+seed=1"],
        ["model=tiny", "seed=text"],
    ],
)
def test_the_command_lines_of_tests_are_composed_as_hydra_does(words):
    def result(compose_words):
        try:
            return compose_words()
        except Exception as error:
            return type(error), str(error)

    def whole():
        with initialize_config_dir(CONFIGS, version_base="1.3"):
            return checked(compose("train", words), SCHEMAS["train"])

    assert result(lambda: composed("train", *words)) == result(whole)


@pytest.mark.parametrize("command", COMMANDS)
def test_hydra_writes_nothing_of_its_own(command):
    own = OmegaConf.load(Path(CONFIGS) / f"{command}.yaml")
    assert "hydra" not in own  # it stands once, in _base
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        hydra = compose(command, return_hydra_config=True).hydra
    assert hydra.output_subdir is None
    assert (hydra.run.dir, hydra.job_logging.root, hydra.hydra_logging.root) == (".", None, None)
    assert Path(hydra.sweep.dir).parent == Path(tempfile.gettempdir())


def test_the_default_is_table_ii_of_the_paper():
    trainer = composed("train").trainer
    assert trainer.per_device_train_batch_size == 4
    assert trainer.per_device_eval_batch_size == 4
    assert trainer.gradient_accumulation_steps == 2
    assert trainer.eval_strategy is EvalStrategy.steps
    assert trainer.num_train_epochs == 10
    assert trainer.save_steps == trainer.eval_steps == trainer.logging_steps == 100
    assert trainer.learning_rate == 1e-4
    assert trainer.save_total_limit == 2


# What transformers calls the config of each named model, by the beginning of its name.
CLASSES = {
    "wav2vec2": transformers.Wav2Vec2Config,
    "xlsr": transformers.Wav2Vec2Config,
    "mms": transformers.Wav2Vec2Config,
    "tiny": transformers.Wav2Vec2Config,
    "hubert": transformers.HubertConfig,
    "wavlm": transformers.WavLMConfig,
    "data2vec": transformers.Data2VecAudioConfig,
    "unispeech": transformers.UniSpeechSatConfig,
    "w2v": transformers.Wav2Vec2BertConfig,
    "whisper": transformers.WhisperConfig,
    "moonshine": transformers.MoonshineConfig,
}


@pytest.mark.parametrize("name", [option.split("/")[1] for option in OPTIONS if option.startswith("model/")])
def test_every_setting_of_a_named_model_is_one_that_its_family_has(name):
    if name == "any":
        pytest.skip("model=any has no settings of its own")
    config = CLASSES[name.split("_")[0]]()
    for key in composed("train", f"model={name}").model.encoder_config:
        assert hasattr(config, key), key


@pytest.mark.parametrize("protocol", ["emobox", "speaker_kfold", "luna_jimenez_held_out", "paper"])
def test_the_robust_recipe_trains_on_all_who_are_not_tested_and_lets_no_split_select(protocol, prepared):
    cfg = composed("train", "experiment=robust", f"protocol={protocol}")
    resolved = resolve_protocol(prepared.utterances, cfg.protocol)
    splits = split_corpus(prepared.utterances, resolved, cfg.trainer.choose)
    assert len(splits.train) + len(splits.test) == len(prepared.utterances)
    assert (splits.selection_split, splits.evaluated_split) == (None, None)
    assert cfg.augment.changes_clips


@pytest.mark.parametrize("trainer", ["fast", "paper"])
def test_the_robust_recipe_fits_a_large_encoder_with_the_trainers_for_it(trainer):
    cfg = composed("train", "experiment=robust", "model=hubert_large", f"trainer={trainer}")
    assert (cfg.trainer.choose, cfg.trainer.cache_features) == (Choose.last, False)
    assert cfg.augment.changes_clips
