import numpy as np
import pytest
import torch
import transformers
from conftest import composed
from helpers.tiny_trainers import SHAPE
from packaging.version import Version
from torch._dynamo.testing import CompileCounterWithBackend
from transformers import HubertConfig, Wav2Vec2BertConfig, Wav2Vec2Config, WavLMConfig, set_seed

from ser.acceleration import compilation
from ser.acceleration.compilation import (
    ONE_GRAPH_SINCE,
    SHAPES,
    STEP,
    check_compilable,
    compile_encoder,
    pad_to_fixed_length,
    round_up,
    step_between_lengths,
)
from ser.data.dataset import WaveformCollator
from ser.errors import UserError
from ser.models import classifiers
from ser.training.arguments import build_arguments
from ser.training.evaluating import validation_metrics
from ser.training.trainer import EmotionTrainer

pytestmark = pytest.mark.skipif(
    Version(transformers.__version__) < Version(ONE_GRAPH_SINCE), reason=f"needs transformers {ONE_GRAPH_SINCE}"
)
MASKING = dict(mask_time_prob=0.3, mask_time_length=2)


def wav2vec2(**settings):
    set_seed(0)
    return classifiers.Wav2Vec2ForSequenceClassification(Wav2Vec2Config(**{**SHAPE, **settings}))


class OfManyLengths:
    """26 clips between 0.3 and 1 second."""

    def __init__(self):
        generator = np.random.default_rng(0)
        self.clips = [
            (3000 * generator.standard_normal(length)).astype(np.int16)
            for length in generator.integers(4800, 16000, size=26)
        ]

    def __len__(self):
        return len(self.clips)

    def __getitem__(self, index):
        return {"samples": self.clips[index], "label": index % 8, "clip": index}

    def lengths(self):
        return [len(clip) for clip in self.clips]


def history(tmp_path, backend=None):
    """Losses of an epoch of 6 whole batches and one of 2 clips, twice over, and of three evaluations."""
    cfg = composed(
        "train", "tracking=none", "trainer.precision=fp32", "trainer.per_device_train_batch_size=4",
        "trainer.gradient_accumulation_steps=1", "trainer.bucket_by_length=true", "trainer.max_steps=14",
        "trainer.logging_steps=1", "trainer.eval_steps=7", "trainer.save_steps=7", "trainer.compile=true",
    )  # fmt: skip
    model, clips = wav2vec2(**MASKING), OfManyLengths()
    trainer = EmotionTrainer(
        model=model, args=build_arguments(cfg, tmp_path), data_collator=WaveformCollator(True), train_dataset=clips,
        eval_dataset=clips, compute_metrics=validation_metrics, options=cfg.trainer,
    )  # fmt: skip
    if backend is None:
        trainer.train()
    else:
        with compile_encoder(model, 4, backend):
            trainer.train()
    return [entry[name] for entry in trainer.state.log_history for name in ("loss", "eval_loss") if name in entry]


def test_compiled_training_is_the_same_training_with_a_graph_for_each_length(tmp_path):
    counter = CompileCounterWithBackend("aot_eager")
    lengths = OfManyLengths().lengths()
    shapes = {round_up(length, step_between_lengths(lengths)) for length in lengths}
    ours = history(tmp_path / "compiled", counter)
    plain = history(tmp_path / "plain")
    assert len(plain) == 16
    assert ours == pytest.approx(plain, rel=1e-4)
    assert 2 < counter.frame_count <= len(shapes) <= SHAPES


def test_padding_to_a_fixed_length_changes_no_answer():
    model, clips = wav2vec2().eval(), OfManyLengths()
    batch = WaveformCollator(True)([clips[index] for index in range(4)])
    longer = pad_to_fixed_length(batch, 16000, model.frames)
    assert longer["input_values"].shape == longer["attention_mask"].shape == (4, 16000)
    assert batch["input_values"].shape[1] < 16000
    with torch.inference_mode():
        assert torch.allclose(model(**longer).logits, model(**batch).logits, atol=1e-6)


def test_frames_are_padded_to_what_the_cnn_makes_of_the_fixed_length():
    model, clips = wav2vec2().eval(), OfManyLengths()
    batch = WaveformCollator(True)([clips[index] for index in range(4)])
    longer = pad_to_fixed_length(batch, 8000, model.frames)
    frames = model.wav2vec2.feature_extractor(batch["input_values"])
    made = pad_to_fixed_length({**batch, "input_values": frames}, 8000, model.frames)
    assert made["input_values"].shape == model.wav2vec2.feature_extractor(longer["input_values"]).shape
    assert torch.equal(made["attention_mask"], longer["attention_mask"])


def test_there_are_at_most_eight_lengths():
    assert step_between_lengths(range(47_000, 84_000, 100)) == 2 * STEP  # RAVDESS
    assert step_between_lengths([16_000, 20_000]) == STEP
    for longest in (100_000, 1_000_000):
        step = step_between_lengths(range(0, longest, 500))
        assert len({round_up(length, step) for length in range(0, longest, 500)}) <= SHAPES


def test_afterwards_the_encoder_is_what_it_was():
    model = wav2vec2().train()
    before = dict(vars(model.wav2vec2.encoder))
    with compile_encoder(model, 1, CompileCounterWithBackend("eager")):
        model(torch.randn(1, 6000))
    assert vars(model.wav2vec2.encoder).keys() == before.keys()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: wav2vec2(layerdrop=0.1), "model.encoder_config.layerdrop=0.1"),
        (lambda: wav2vec2(feat_extract_norm="group", do_stable_layer_norm=False), "depend on padding"),
        (
            lambda: classifiers.Wav2Vec2BertForSequenceClassification(
                Wav2Vec2BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
            ),
            "wav2vec2-bert takes features",
        ),
    ],
)
def test_an_encoder_of_which_there_is_no_graph_is_refused_in_a_line(model, message):
    with pytest.raises(UserError, match=message):
        check_compilable(model())


@pytest.mark.parametrize(
    "model",
    [
        wav2vec2,
        lambda: wav2vec2(use_weighted_layer_sum=True),
        lambda: classifiers.HubertForSequenceClassification(HubertConfig(**SHAPE)),
        lambda: classifiers.WavLMForSequenceClassification(WavLMConfig(**SHAPE)),
    ],
    ids=["wav2vec2", "all layers", "hubert", "wavlm"],
)
def test_encoders_with_a_layer_norm_are_one_graph(model):
    model = model().train()
    check_compilable(model)
    counter = CompileCounterWithBackend("eager")
    clips, mask = torch.randn(2, 6000), torch.ones(2, 6000, dtype=torch.long)
    mask[1, 4000:] = 0
    plain = model(clips, mask).logits
    with compile_encoder(model, 2, counter):
        assert torch.allclose(model(clips, mask).logits, plain, atol=1e-6)
    assert counter.frame_count == 1


def test_a_transformers_whose_layers_form_no_graph_is_refused(monkeypatch):
    check_compilable(wav2vec2(feat_extract_norm="layer", layerdrop=0.0))
    monkeypatch.setattr(compilation, "installed", "5.23.0")
    with pytest.raises(UserError, match=r"transformers 5\.23\.0 form no graph; install transformers 5\.24 or later"):
        check_compilable(wav2vec2(feat_extract_norm="layer", layerdrop=0.0))
