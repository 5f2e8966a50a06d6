import json
import runpy
import shutil
import subprocess
import sys
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from conftest import composed
from helpers.shared_folders import made_once
from helpers.smallest import POOLINGS, TOYS, WEIGHTED, save, toy
from helpers.toys import configured

from ser.commands.export import export
from ser.config import Pooling
from ser.corpora.ravdess import EMOTIONS
from ser.data import audio
from ser.data import silence as trim
from ser.data.batches import MINIMUM
from ser.data.dataset import collator_for
from ser.errors import UserError
from ser.export import onnx, parity
from ser.models import checkpoint
from ser.models.architectures import ARCHITECTURES
from ser.models.outputs import Outputs, softmax


def export_toy(name, root):
    """Save a toy below a folder and export it."""
    folder = save(name, root / name, {"audio": {"trim": name == "wavlm"}})
    quantize = "int8" if name == "wav2vec2-layer" else "null"
    export(composed("export", f"checkpoint='{folder}'", "score=false", f"quantize={quantize}"))


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """A function that exports a toy once and gives its checkpoint, opened, and the folder of the export."""

    def make(name):
        root = made_once(tmp_path_factory, f"export-of-{name}", partial(export_toy, name))
        return checkpoint.open_checkpoint(root / name), root / f"{name}-onnx"

    return cache(make)


def batches(extractor, *lengths):
    """Noise of so many samples: each clip alone, then all of them padded to the longest."""
    generator = np.random.default_rng(1)
    clips = [{"samples": (3000 * generator.standard_normal(length)).astype(np.int16), "label": 0} for length in lengths]
    collator = collator_for(extractor)
    return [*(collator([clip]) for clip in clips), collator(clips)]


@pytest.mark.parametrize("name", TOYS)
def test_the_model_predicts_as_its_checkpoint_at_any_length_alone_and_padded(name, exported):
    model, folder = exported(name)
    given = batches(model.extractor, MINIMUM - 100, 11111, 35200)
    expected = parity.logits_on_cpu(model.classifier, given)
    assert np.abs(expected[1] - expected[2]).max() > 1e-2  # a model without any output would prove nothing
    assert np.abs(onnx.Session(folder / "model.onnx").logits(given) - expected).max() < 1e-4


@pytest.mark.parametrize("name", ["wav2vec2-layer", "w2v-bert", "whisper"])
def test_the_mask_decides_what_is_pooled_and_attended_to(name, exported):
    model, folder = exported(name)
    *_, batch = batches(model.extractor, 20000, 35200)
    session = onnx.Session(folder / "model.onnx")
    told, untold = (
        session.logits([{**batch, "attention_mask": mask}])[0]
        for mask in (batch["attention_mask"], torch.ones_like(batch["attention_mask"]))
    )
    alone = session.logits(batches(model.extractor, 20000)[:1])[0]
    assert np.abs(told - alone).max() < 1e-3
    assert np.abs(untold - alone).max() > 1e-3


def test_every_family_and_every_pooling_is_tested():
    assert {settings["model_type"] for settings in TOYS.values()} == set(ARCHITECTURES)
    assert {*POOLINGS.values(), "mean"} == {pooling.value for pooling in Pooling}
    assert set(TOYS) >= WEIGHTED


def test_an_export_leaves_the_classifier_as_it_was(monkeypatch, tmp_path):
    classifier, extractor = toy("whisper")
    seen = []

    def look(module, *arguments, **options):
        seen.append(module.classifier.config._attn_implementation)
        return SimpleNamespace(save=Path.touch)

    monkeypatch.setattr(torch.onnx, "export", look)
    before = classifier.config._attn_implementation
    onnx.write_model(classifier, batches(extractor, 9000, 12000)[-1], tmp_path / "model.onnx")
    assert seen == ["eager"]
    assert classifier.config._attn_implementation == before == "sdpa"


def test_a_family_that_torch_cannot_export_is_reported_in_one_line(monkeypatch, tmp_path):
    def fail(*arguments, **options):
        raise torch.onnx.OnnxExporterError("a page\nof advice")

    monkeypatch.setattr(torch.onnx, "export", fail)
    save("whisper", tmp_path / "toy", {})
    with pytest.raises(UserError, match=r"whisper: torch [\d.]+\S* cannot export it$"):
        export(composed("export", f"checkpoint='{tmp_path / 'toy'}'", "score=false"))
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]


def test_int8_is_for_matrix_products_alone(exported):
    import onnx

    _, folder = exported("wav2vec2-layer")
    operators = [node.op_type for node in onnx.load(folder / "model.int8.onnx").graph.node]
    assert operators.count("MatMulInteger") >= 7  # q, k, v, out, two of the feed-forward network, the projections
    assert "Conv" in operators
    assert "ConvInteger" not in operators
    forms = {form["name"]: form for form in json.loads((folder / "export.json").read_text())["forms"]}
    assert 1e-5 < forms["model.int8.onnx"]["probabilities_difference"] < 0.1
    assert forms["model.onnx"]["probabilities_difference"] < 1e-5
    assert forms["model.int8.onnx"]["bytes"] == (folder / "model.int8.onnx").stat().st_size


ALONE = """
import runpy, sys
for name in ("torch", "transformers", "ser", "soundfile", "soxr", "scipy", "sklearn"):
    sys.modules[name] = None
sys.argv = sys.argv[1:]
sys.path[0] = sys.argv[0].rsplit("/", 1)[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def in_the_example(folder, *paths):
    """The example as a user runs it, where nothing but numpy and onnxruntime is installed."""
    arguments = [sys.executable, "-c", ALONE, str(folder / "predict.py"), *map(str, paths)]
    return subprocess.run(arguments, capture_output=True, text=True)


def wav(path, samples, rate=16000):
    soundfile.write(path, samples, rate, subtype="PCM_16")
    return path


def spoken(seconds, silence=0.0):
    """A murmur between two silences, int16."""
    return np.pad(parity.synthesise_speech(seconds), int(silence * 16000))


@pytest.mark.parametrize("name", TOYS)
def test_the_example_needs_numpy_and_onnxruntime_alone_and_gives_the_same_probabilities(name, exported, tmp_path):
    model, folder = exported(name)
    clips = [spoken(1.7, silence=0.5), spoken(0.02), spoken(0.513)]
    result = in_the_example(folder, *(wav(tmp_path / f"{index}.wav", clip) for index, clip in enumerate(clips)))
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert len(lines) == len(clips) * (1 + len(EMOTIONS))
    for index, clip in enumerate(clips):
        heard = clip[slice(*trim.speech_span(clip))] if model.stamp["audio"]["trim"] else clip
        batch = collator_for(model.extractor)([{"samples": heard, "label": 0}])
        expected = dict(zip(EMOTIONS, softmax(parity.logits_on_cpu(model.classifier, [batch]))[0], strict=True))
        path, *rows = lines[index * 9 : index * 9 + 9]
        found = {label: float(probability) for label, probability in map(str.split, rows)}
        assert path == str(tmp_path / f"{index}.wav")
        tolerance = 0.05 if json.loads((folder / "ser.json").read_text())["model"] == "model.int8.onnx" else 2e-4
        assert found == pytest.approx(expected, abs=tolerance)
        assert list(found.values()) == sorted(found.values(), reverse=True)


def test_the_example_of_a_multi_label_head_gives_the_sigmoid_of_each_logit(exported, tmp_path, monkeypatch):
    _, single = exported("hubert")
    folder = tmp_path / "toy"
    shutil.copytree(single.parent / "hubert", folder)
    configured(folder, problem_type="multi_label_classification", ser={})  # as somebody else's
    # PyTorch's part, which takes longest, has been done: the logits are the same.
    monkeypatch.setattr(onnx, "write_model", lambda *arguments: shutil.copyfile(single / "model.onnx", arguments[-1]))
    export(composed("export", f"checkpoint='{folder}'", "score=false"))
    clip = spoken(1.2)
    result = in_the_example(tmp_path / "toy-onnx", wav(tmp_path / "a.wav", clip))
    assert result.returncode == 0, result.stderr
    found = {label: float(share) for label, share in map(str.split, result.stdout.splitlines()[1:])}
    model = checkpoint.open_checkpoint(folder)
    logits = parity.logits_on_cpu(model.classifier, [collator_for(model.extractor)([{"samples": clip, "label": 0}])])
    assert found == pytest.approx(
        dict(zip(EMOTIONS, torch.tensor(logits[0]).sigmoid().tolist(), strict=True)), abs=2e-4
    )


@pytest.mark.parametrize("name", ["wav2vec2-group", "moonshine", "w2v-bert", "whisper"])
def test_the_example_computes_the_same_input_as_transformers(name, exported, monkeypatch):
    model, folder = exported(name)
    monkeypatch.syspath_prepend(folder)
    for name_of_file in ("trim", "model_inputs"):
        monkeypatch.delitem(sys.modules, name_of_file, raising=False)
    example = runpy.run_path(str(folder / "predict.py"))
    for seconds in (0.02, 0.513, 1.7):
        clip = spoken(seconds)
        inputs, mask = example["PREPARE"][example["ABOUT"]["prepare"]](clip, example["GIVEN"])
        batch = collator_for(model.extractor)([{"samples": clip, "label": 0}])
        wanted = batch[example["ABOUT"]["input"]].numpy()
        assert inputs.dtype == wanted.dtype
        assert inputs.shape == wanted.shape
        assert np.abs(inputs - wanted).max() < 1e-3
        assert np.array_equal(mask, batch["attention_mask"].numpy())


def test_the_example_trims_where_the_checkpoint_was_trained_on_trimmed_clips(exported):
    wanted = {name: json.loads((exported(name)[1] / "ser.json").read_text())["trim"] for name in ("wavlm", "hubert")}
    assert wanted == {"wavlm": True, "hubert": False}
    assert trim.SILENCE == audio.SILENCE
    assert trim.FRAME / audio.SAMPLE_RATE == 0.02


def test_the_example_names_a_recording_that_it_cannot_take(exported, tmp_path):
    _, folder = exported("hubert")
    (tmp_path / "text.wav").write_text("no audio")
    (tmp_path / "empty.wav").write_bytes(b"")
    cases = {
        wav(tmp_path / "48.wav", spoken(0.3), rate=48000): "(48000, 1, 16) hertz, channels and bits, 9600 bytes; "
        "the model takes (16000, 1, 16)",
        wav(tmp_path / "none.wav", spoken(0)): "(16000, 1, 16) hertz, channels and bits, 0 bytes; ",
        tmp_path / "text.wav": "file does not start with RIFF id",
        tmp_path / "empty.wav": "it ends too soon",
    }
    for path, message in cases.items():
        result = in_the_example(folder, path)
        assert result.returncode == 1
        assert result.stderr.startswith(f"{path}: {message}")
        assert result.stderr.count("\n") == 1


def test_the_contract_states_which_clips_may_share_a_batch(exported):
    said = {name: json.loads((exported(name)[1] / "ser.json").read_text())["batches"] for name in TOYS}
    assert {name for name, batches in said.items() if batches == "clips of one length"} == {
        "wav2vec2-group", "data2vec", "moonshine",
    }  # fmt: skip


def test_a_difference_that_is_more_than_rounding_is_refused():
    zeros = np.zeros((1, 2), dtype=np.float32)
    outputs = Outputs(["up", "down"], "softmax")
    parity.check_parity(parity.Expected([], zeros, outputs), zeros + np.float32(9e-5))
    parity.check_parity(
        parity.Expected([], zeros + 20, outputs), zeros + np.float32(20.001)
    )  # float32 has seven digits
    for expected, found in ((0, 1.1e-4), (0, np.nan), ([20, 20], [20.001, 20])):
        with pytest.raises(UserError, match="more than rounding"):
            parity.check_parity(parity.Expected([], zeros + np.float32(expected), outputs), zeros + np.float32(found))
