"""Nonsense for what parses: file names, tables and the command line."""

import contextlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from faults_ground import Ground, Part, ser, tidy
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from ser import apps, cli, command_line, config
from ser.corpora import ravdess
from ser.corpora.recordings import Recording
from ser.data import manifest, protocols
from ser.data.manifest import Utterance
from ser.errors import UserError, is_explained
from ser.inference import recordings

ANY = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
CODES = st.sampled_from(["01", "02", "03", "08", "09", "24", "25", "00", "٠١", "１２"])
NAMES = st.one_of(st.from_regex(r"\A\d{2}(-\d{2}){6}\Z"), st.lists(CODES, min_size=6, max_size=8).map("-".join), ANY)
CELLS = st.one_of(
    st.sampled_from(["path", "fold", "1", "2", "1.0", "", "nan", "-1", "a.wav", "../a.wav", "\ufeffpath", '"', "1e9"]),
    ANY,
)
ROWS = st.lists(st.lists(CELLS, max_size=4).map(",".join), max_size=6)


def table(*header: str) -> Any:
    return ROWS.map(lambda rows: "\n".join([*header, *rows]).encode())


TABLES = st.one_of(
    st.binary(max_size=300), table(), table(",".join(manifest.COLUMNS)), table("path,fold"), table("fold;path")
)
KEYS = (
    "seed", "output_dir", "model", "trainer.learning_rate", "trainer.num_train_epochs", "protocol.fold", "seeds",
    "model.encoder_config.layerdrop", "trainer.extra_training_args.seed", "+trainer.extra_training_args.adam_beta2",
    "nonsense", "~model", "++a.b", "audio.trim",
)  # fmt: skip
ODD = (
    "", "0", "-1", "1e400", "nan", "null", "[0,1", "{a: b}", "${seed}", "${nowhere}", "'", "a,b", "true", "~", "=",
    "runs/x", "[", "Jörg", "it's", "run (1)", "\n", "x=y", "~/x",
)  # fmt: skip
WORDS = st.lists(st.builds("{}={}".format, st.sampled_from(KEYS), st.sampled_from(ODD) | ANY), min_size=1, max_size=3)


def fuzz(ground: Ground, count: int) -> Part:
    """Draw `count` inputs for each parser, and some command lines for the real command."""
    part = Part("fuzzing")
    with tempfile.TemporaryDirectory(dir=ground.folder) as folder:
        target = Path(folder) / "table.csv"
        tries: dict[str, tuple[Any, Callable[[Any], None]]] = {
            "file names": (NAMES, name_of_a_recording),
            "the manifest": (TABLES, lambda content: written(target, content, manifest.read)),
            "folds_csv": (TABLES, lambda content: written(target, content, folds_of)),
            "predict's CSV": (TABLES, lambda content: written(target, content, recordings_of)),
            "a path as a flag": (ANY, path_as_flag),
            "words of the command line": (WORDS, words_of_a_command),
        }  # fmt: skip
        for what, (inputs, parse) in tries.items():
            try_all(part, ground, what, inputs, parse, count)
    real_commands(ground, part, min(30, max(1, count // 50)))
    with_coverage(ground, part, count * 20)
    return part


def with_coverage(ground: Ground, part: Part, runs: int) -> None:
    """The same parsers under atheris, where it is installed."""
    if importlib.util.find_spec("atheris") is None:
        part.notes.append("left out: atheris is not installed here")
        return
    script = Path(__file__).with_name("faults_atheris.py")
    words = [sys.executable, script, f"-runs={runs}", f"-seed={ground.seed + 1}", "-max_len=300"]
    ended = subprocess.run(words, capture_output=True, text=True, errors="replace", cwd=ground.folder)
    part.count("inputs of atheris", runs)
    said = [line for line in ended.stderr.splitlines() if " Uncaught " in line or "Error" in line]
    part.check(ended.returncode == 0, f"atheris: {' '.join(said[:3])[:300]}")


def try_all(part: Part, ground: Ground, what: str, inputs: Any, parse: Callable[[Any], None], count: int) -> None:
    """Parse drawn inputs; anything but a result or a line for the user is a violation."""
    tried = 0

    @seed(ground.seed)
    @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(inputs)
    def once(drawn: Any) -> None:
        nonlocal tried
        tried += 1
        told(parse, drawn)

    try:
        once()
    except Exception as error:  # whatever it is, it would have been a traceback
        note = " ".join(getattr(error, "__notes__", [""])[-1].split())[:200]
        part.check(False, f"{what}: {type(error).__name__}: {' '.join(str(error).split())[:200]} ({note})")
    part.count(what, tried)


def told(parse: Callable[[Any], None], drawn: Any) -> None:
    """Parse, where what the command line turns into a line for the user is as good as a result."""
    try:
        parse(drawn)
    except Exception as error:
        if not is_explained(error):
            raise


def name_of_a_recording(stem: str) -> None:
    """Read a name as `scan` does."""
    names = ravdess.NAMES["both"]
    if (codes := names.match(stem)) and not names.mistake(codes):
        recording: Recording = ravdess.recording(f"{stem}.wav")
        assert recording.emotion in ravdess.EMOTIONS, recording
        assert 1 <= int(recording.speaker) <= 24, recording


def written(target: Path, content: bytes, read: Callable[[Path], Any]) -> None:
    target.write_bytes(content)
    read(target)


def recordings_of(path: Path) -> None:
    recordings.resolve(str(path), None)


def folds_of(path: Path) -> None:
    protocol = config.Protocol(name="custom", seed=0, folds_csv=str(path), validation_speakers=0, reference="")
    for fold in protocols.list_folds(protocol):
        with contextlib.suppress(UserError):
            protocols.split_corpus([Utterance("a.wav", "happy", "1")], replace(protocol, fold=fold))


def path_as_flag(path: str) -> None:
    """A path behind a flag means itself, whatever is in its name."""
    (word,) = command_line.hydra_words(["--audio", path], apps.SCHEMAS["predict"])
    (override,) = OverridesParser.create().parse_overrides([word])
    meant = OmegaConf.create({"path": override.value()}).path
    assert meant == path, (meant, path)


def words_of_a_command(words: list[str]) -> None:
    words = command_line.hydra_words(words, apps.SCHEMAS["train"])
    with initialize_config_dir(apps.CONFIGS, version_base="1.3"):
        try:
            composed = compose("train", overrides=words)
        except ValueError as wrong:  # as `apps.run` does
            raise UserError(str(wrong)) from wrong
        apps.checked(composed, apps.SCHEMAS["train"])


def real_commands(ground: Ground, part: Part, count: int) -> None:
    """The command itself with drawn words, in a folder without data: a line, and nothing is left behind."""
    place = ground.folder / "fuzzed"
    place.mkdir()
    draw = ground.random
    for _ in range(count):
        command = draw.choice(list(cli.COMMANDS))
        keys = ("checkpoint", "runs", "output_dir", "data_dir", "seed", "audio", "root", "split", *KEYS)
        words = [f"{draw.choice(keys)}={draw.choice(ODD)}" for _ in range(draw.randint(0, 3))]
        if command == "serve":
            words.append("checkpoint=nowhere")
        ended = ser(place, command, *words)
        part.count("commands")
        tidy(part, ended, f"ser {command} {' '.join(map(repr, words))}")
    shutil.rmtree(place)
