"""The real corpus and the real encoder, where they are at hand; RAVDESS is not ours to ship."""

import csv
import json
from pathlib import Path

import pytest
from conftest import composed
from helpers.commands import ser

from ser.corpora.ravdess import EMOTIONS
from ser.data.preparation import prepare

STEREO = [
    "Actor_01/03-01-02-01-01-02-01.wav",
    "Actor_01/03-01-08-01-02-02-01.wav",
    "Actor_05/03-01-02-01-02-02-05.wav",
    "Actor_20/03-01-03-01-02-01-20.wav",
    "Actor_20/03-01-06-01-01-02-20.wav",
]
IDENTICAL = [["Actor_07/03-01-03-01-02-01-07.wav", "Actor_07/03-01-03-01-02-02-07.wav"]]


def test_the_audit_of_the_whole_corpus_finds_what_is_known_of_it(whole_ravdess, tmp_path):
    cfg = composed("prepare_data", f"root='{whole_ravdess}'", f"data_dir='{tmp_path}'")
    report = prepare(cfg.corpus, cfg.protocol, cfg.root, cfg.data_dir, cfg.on_leak)
    assert report["recordings"] == report["decoded"] == 1440
    assert report["speakers"] == 24
    assert report["per_emotion"] == {emotion: 96 if emotion == "neutral" else 192 for emotion in EMOTIONS}
    assert report["not_mono"] == STEREO
    assert report["identical"] == IDENTICAL
    assert report["silent"] == report["clipped"] == report["too_short"] == report["contradicting"] == []
    assert report["copies"] == []  # among 1 036 080 pairs
    assert report["sample_rates"] == {"48000": 1440}
    assert (report["seconds"]["shortest"], report["seconds"]["longest"]) == (2.936, 5.272)
    assert report["split"]["test_per_emotion"] == dict(zip(EMOTIONS, (38, 39, 38, 39, 38, 19, 38, 39), strict=True))
    assert (report["split"]["train"], report["split"]["test"]) == (1152, 288)
    assert prepare(cfg.corpus, cfg.protocol, cfg.root, cfg.data_dir, cfg.on_leak)["decoded"] == 0
    assert len(list(csv.reader((tmp_path / "manifest.csv").open()))) == 1441


def test_the_three_commands_run_on_a_part_of_the_corpus_with_the_real_encoder(ravdess, moonshine, tmp_path):
    def call(*arguments):
        result = ser(*arguments, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        return result.stdout

    few_steps = ("trainer.max_steps=2", "trainer.eval_strategy=steps", "trainer.eval_steps=2", "trainer.save_steps=2")
    assert "120 clips, 2 speakers" in call("prepare-data", "--root", str(ravdess))
    call("train", "experiment=laptop", f"model.pretrained={moonshine}", "tracking=none", *few_steps)
    folder = "runs/ravdess-paper-moonshine_tiny-seed0"
    printed = call("evaluate", f"checkpoint={folder}")
    assert "scored on the test split (24 clips" in printed
    report = json.loads((tmp_path / folder / "classification_report.json").read_text())
    again = json.loads((tmp_path / folder / "evaluation-test" / "classification_report.json").read_text())
    for key in ("cross_entropy", "brier_score", "expected_calibration_error"):
        assert report.pop(key) == pytest.approx(again.pop(key), abs=1e-6)
    assert report == again


def test_a_float16_encoder_is_loaded_exactly_and_trained_in_float32(moonshine):
    import torch
    from safetensors.torch import load_file

    from ser.models import checkpoint

    cfg = composed("train", "experiment=laptop", f"model.pretrained='{moonshine}'")
    classifier, _ = checkpoint.build(cfg.model, EMOTIONS)
    stored = load_file(Path(moonshine) / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}
    assert {parameter.dtype for parameter in classifier.parameters()} == {torch.float32}
    encoder = {name: tensor for name, tensor in classifier.state_dict().items() if name.startswith("encoder.")}
    assert len(encoder) == len([name for name in stored if name.startswith("model.encoder.")])
    assert all(torch.equal(tensor, stored[f"model.{name}"].float()) for name, tensor in encoder.items())


@pytest.mark.gpu
def test_a_run_on_a_gpu_takes_the_precision_that_the_gpu_has(ravdess, moonshine, tmp_path):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("there is no GPU here")
    few_steps = ("trainer.max_steps=2", "trainer.eval_strategy=steps", "trainer.eval_steps=2", "trainer.save_steps=2")
    result = ser(
        "train", "experiment=laptop", f"model.pretrained={moonshine}", "tracking=none", f"root={ravdess}", *few_steps,
        cwd=tmp_path,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
