from contextlib import suppress

import pytest
from conftest import composed
from helpers.commands import ser
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ser.apps import CONFIGS, SCHEMAS
from ser.command_line import hydra_words, literal
from ser.config import Compare, Evaluate, Export, Predict, PrepareData, Push, Serve, Train
from ser.config.paths import path_keys
from ser.errors import UserError

NAMES = [
    "Jörg",
    "runs/lr=1e-4",
    "runs/run (1)",
    "a,b",
    "run#1",
    "it's",
    '"quoted"',
    "'quoted'",
    "${x}",
    "\\${x}",
    "[1]",
    "[a,b]",
    "{a: b}",
    "C:\\runs\\",
    "007",
    "1e3",
    "true",
    "inf",
    " both sides ",
    "null.csv",
    "100 %",
    "~nobody/x",
    "new\nline",
    "日本語",
    "runs/x/",
    "se\udcf1or",
]
KEYS = [
    ("predict", "checkpoint"),
    ("predict", "audio"),
    ("predict", "root"),
    ("predict", "timeline"),
    ("serve", "checkpoint"),
    ("evaluate", "checkpoint"),
    ("evaluate", "output_dir"),
    ("export", "data_dir"),
    ("push", "checkpoint"),
    ("prepare_data", "data_dir"),
    ("compare", "runs"),
    ("train", "output_dir"),
    ("train", "model.pretrained"),
    ("train", "protocol.folds_csv"),
]


def read(command, *words):
    """The dataclass of a command line."""
    return composed(command, *hydra_words(words, SCHEMAS[command]))


def meant(command, *words):
    """The first path of a command line, as Hydra reads it."""
    value = OverridesParser.create().parse_override(hydra_words(words, SCHEMAS[command])[0]).value()
    return OmegaConf.to_container(OmegaConf.create({"value": value}), resolve=True)["value"]


@pytest.mark.parametrize("name", NAMES)
def test_a_path_that_exists_is_meant_whatever_its_name_is(name, tmp_path, monkeypatch):
    (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for command, key in KEYS:
        assert meant(command, f"{key}={name}") == name, (command, key)
    assert read("compare", f"runs={name}", f"output_dir={name}").runs == [name]


@pytest.mark.parametrize(
    "name", [name for name in NAMES if name not in ("'quoted'", '"quoted"', "a,b", "[a,b]", "[1]")]
)
def test_so_is_one_that_is_still_to_be_made(name):
    for command, key in KEYS:
        assert meant(command, f"{key}={name}") == name, (command, key)


@pytest.mark.parametrize("name", [*NAMES, "--root", "null"])
def test_what_stands_behind_an_option_is_a_path(name):
    for option in (["--audio", name], [f"--audio={name}"]):
        assert meant("predict", *option) == name
    assert meant("train", "--data-dir", name) == name


IN_CHOSEN_GROUPS = {
    "evaluate": [f"corpus.{key}" for key in ("table", "speaker", "dataset", "parts")] + ["protocol.folds_csv"]
}
"""Keys of groups that a command composes only where the user chooses them."""


def test_no_path_of_a_config_is_forgotten():
    known = {f"{command}.{key}" for command, schema in SCHEMAS.items() for key in path_keys(schema)}
    texts = ("root", "dir", "checkpoint", "runs", "audio", "output", "timeline", "embeddings", "pretrained", "csv")
    texts += ("table", "dataset", "parts", "corpus.speaker", "predictions", "teachers", "_folder")
    fields = {
        f"{command}.{key}"
        for command in SCHEMAS
        for key in (*flat_keys(compose_raw(command)), *IN_CHOSEN_GROUPS.get(command, ()))
        if key.endswith(texts) and (not key.startswith("trainer.") or key == "trainer.teachers")
    }
    assert fields == known


def compose_raw(command):
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        return compose(command)


def flat_keys(tree, prefix=""):
    for key, entry in (OmegaConf.to_container(tree) if prefix == "" else tree).items():
        if isinstance(entry, dict):
            yield from flat_keys(entry, f"{prefix}{key}.")
        else:
            yield prefix + str(key)


@pytest.mark.parametrize(
    ("words", "runs"),
    [
        (["runs=[a,b]"], ["a", "b"]),
        (["runs=[Jörg,lr=1e-4]"], ["Jörg", "lr=1e-4"]),
        (["runs=['a,b', c]"], ["a,b", "c"]),
        (["runs=a,b"], ["a", "b"]),
        (["runs=a", "published=true", "runs=b"], ["a", "b"]),
        (["runs=runs/*"], ["runs/*"]),
        (["--runs", "runs/a", "lr=1e-4", "published=true"], ["runs/a", "lr=1e-4"]),
        (["--runs", "a", "--output-dir", "b"], ["a"]),
        (["runs='a, b'"], ["a, b"]),
    ],
)
def test_several_paths_may_be_given(words, runs):
    assert read("compare", *words).runs == runs


def test_the_pattern_with_a_comma_is_one_path_where_something_matches_it(tmp_path, monkeypatch):
    (tmp_path / "lr,1").mkdir()
    monkeypatch.chdir(tmp_path)
    assert read("compare", "runs=lr,*").runs == ["lr,*"]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("output_dir=m/${model.name}", "m/tiny"),
        ("output_dir=Jörg/${model.name} ${seed}", "Jörg/tiny 7"),
        ("output_dir=${oc.env:SER_TEST_DIR}/x", "/from the environment/x"),
        ("output_dir='it is ${model.name}'", "it is tiny"),
        ("output_dir=${x}/${model.name}", "${x}/tiny"),
        ("output_dir=~/x", "/home/user/x"),
    ],
)
def test_other_values_and_the_home_folder_may_stand_in_a_path(word, expected, monkeypatch):
    monkeypatch.setenv("SER_TEST_DIR", "/from the environment")
    monkeypatch.setenv("HOME", "/home/user")
    assert read("train", "model=tiny", "seed=7", word).output_dir == expected


def test_null_leaves_a_path_out():
    assert read("train", "root=null").root is None


@pytest.mark.parametrize("word", ["checkpoint=", "audio= ", "output=", "--audio=", "checkpoint=[a,]"])
def test_an_empty_path_is_refused(word):
    with pytest.raises(UserError, match="its value is empty; give a path, or leave"):
        hydra_words([word], Predict)


@pytest.mark.parametrize(
    ("words", "sweeps"),
    [
        (["model=a,b", "data_dir=Jörg, x"], {"model": ["a", "b"], "data_dir": ["Jörg", "x"]}),
        (["output_dir=a,'b,c'", "seed=0"], {"output_dir": ["a", "b,c"]}),
        (["root=choice(a,b)"], {"root": ["a", "b"]}),
        (["output_dir=m/${model.name}", "seed=range(0,2)"], {"seed": [0, 1]}),
    ],
)
def test_paths_may_be_swept_over(words, sweeps):
    written = hydra_words([*words, "--multirun"], Train)
    assert written[-1] == "--multirun"
    overrides = OverridesParser.create().parse_overrides(written[:-1])
    found = {
        override.get_key_element(): [plain(entry) for entry in override.sweep_iterator()]
        for override in overrides
        if override.is_sweep_override()
    }
    assert found == sweeps


def plain(entry):
    return entry.text if hasattr(entry, "text") else entry.strip("'") if isinstance(entry, str) else entry


def test_a_list_of_paths_may_be_swept_over():
    assert hydra_words(["checkpoint=[a,Jörg],c", "-m"], Predict) == ["checkpoint=[a,'Jörg'],c", "-m"]


def test_what_exists_is_not_swept_over(tmp_path, monkeypatch):
    (tmp_path / "a,b").mkdir()
    monkeypatch.chdir(tmp_path)
    assert hydra_words(["root=a,b", "--multirun"], Train) == ["root='a,b'", "--multirun"]


def test_words_may_stand_on_both_sides_of_an_option():
    words = ["protocol=emobox", "--multirun", "seed=0,1", "~hub.repo", "--config-name", "train"]
    assert hydra_words(words, Train) == [
        "protocol=emobox",
        "seed=0,1",
        "~hub.repo",
        "--multirun",
        "--config-name",
        "train",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--cfg", "jobs"], "argument --cfg/-c: invalid choice: 'jobs'"),
        (["--cfg", "job", "--multirun"], "--multirun and --cfg exclude each other"),
        (["--resolve"], "--resolve: it needs --cfg job"),
        (["--timelin", "x"], "unrecognized arguments: --timelin; did you mean timeline=?"),
        (["--batch-size=4"], "unrecognized arguments: --batch-size=4; did you mean batch_size=?"),
        (["--nothing-like-it"], "unrecognized arguments: --nothing-like-it"),
        (["clip.wav"], "clip.wav: values are given as key=value"),
        (["--experimental-rerun", "x.pickle"], "--experimental-rerun: it is switched off"),
        (["--exp=x.pickle"], "--experimental-rerun: it is switched off"),
        (["--root"], "--root: its value is empty"),
    ],
)
def test_an_odd_word_is_refused_in_one_line(words, message):
    with pytest.raises(UserError) as caught:
        hydra_words(words, Predict)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1).filter(str.strip))
def test_a_quoted_text_is_read_as_it_was_written(text):
    override = OverridesParser.create().parse_override(f"runs={literal(text)}")
    assert OmegaConf.create({"runs": override.value()})["runs"] == text


@settings(max_examples=300, deadline=None)
@given(st.text("${}\\'\"ab,=[]()~ #", min_size=1, max_size=8).filter(str.strip))
def test_so_is_one_of_the_signs_that_mean_something(text):
    assert meant("compare", "--runs", text) == text


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("${}\\'\"ab,=[]()~+@.:/ #\n01", max_size=12), max_size=4))
def test_a_command_line_is_read_or_refused(words):
    with suppress(UserError, HydraException, OmegaConfBaseException):
        read("compare", "runs=x", *words)


@pytest.mark.parametrize("name", ["Jörg (1)", "lr=1e-4,${x}", "it's [a]#1", "~"])
def test_the_command_finds_a_folder_by_its_name(name, tmp_path):
    (tmp_path / name).mkdir()
    result = ser("compare", f"runs=./{name}", "--output-dir", "o", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr == f"ser: runs=./{name}: no finished run in it\n"


def test_a_name_that_is_no_text_is_no_traceback(tmp_path):
    name = b"se\xf1or"
    result = ser("compare", b"runs=" + name, cwd=tmp_path)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "no finished run there" in result.stderr


@pytest.mark.parametrize(
    ("schema", "word", "key"),
    [
        (PrepareData, "dta_dir=x", "data_dir"),
        (Train, "modle=x", "model"),
        (Train, "+modle@x=y", "model"),
        (Train, "modle.lora_rank=8", "model"),
        (Train, "output_dri=Jörg", "output_dir"),
        (Train, "~modle", "model"),
        (Evaluate, "slit=run (1)", "split"),
        (Compare, "run=a,b", "runs"),
        (Predict, "timelin=runs/lr=1e-4", "timeline"),
        (Serve, "prot=8000", "port"),
        (Export, "qauntize=int8", "quantize"),
        (Push, "rpo=anna/model", "repo"),
    ],
)
def test_a_misspelt_key_is_named_with_the_one_that_is_meant_whatever_is_given_for_it(schema, word, key):
    with pytest.raises(UserError, match=rf"^Key '\w+' not in '{schema.__name__}'; did you mean {key}\?; choices: "):
        hydra_words([word], schema)


def test_what_comes_close_to_nothing_is_named_with_the_choices_alone():
    with pytest.raises(UserError, match=r"^Key 'zzz' not in 'Push'; choices: checkpoint, repo, "):
        hydra_words(["zzz=1"], Push)


@pytest.mark.parametrize("word", ["experiment=laptop", "hydra.verbose=true", "hydra/job_logging=none", "+model@x=tiny"])
def test_groups_of_values_and_what_is_hydras_are_no_misspelt_keys(word):
    assert hydra_words([word], Train) == [word]


@pytest.mark.parametrize("option", ["--config-name=train", "--cfg=job", "--info=config"])
def test_an_option_of_hydras_may_be_given_with_its_value_in_one_word(option):
    assert hydra_words([option], Train) == [option]
