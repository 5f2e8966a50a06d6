import csv
from contextlib import nullcontext

import pytest
import torch
from conftest import composed
from helpers.compositions import SMALL
from torch import nn
from torch.nn import functional

from ser.acceleration import accelerated
from ser.acceleration.fast_dropout import dropout
from ser.acceleration.faster_functions import FasterFunctionsMode, use_faster_functions
from ser.commands.train import train

CPU = torch.device("cpu")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("p", [0.05, 0.1, 0.5])
def test_as_many_elements_go_as_are_asked_for_and_the_others_are_scaled(p, dtype):
    torch.manual_seed(0)
    made = dropout(torch.ones(1000, 1001, dtype=dtype), p)
    expected = functional.dropout(torch.ones(1000, 1001, dtype=dtype), p)
    assert made.unique().tolist() == pytest.approx(expected.unique().tolist(), rel=2e-5)
    deviation = (p * (1 - p) / made.numel()) ** 0.5
    assert abs((made == 0).double().mean().item() - p) < 5 * deviation


def test_elements_go_independently_of_their_neighbours():
    torch.manual_seed(0)
    gone = (dropout(torch.ones(1000, 1000), 0.3) == 0).double().flatten()
    for distance in (1, 2, 3, 4, 1000):
        pairs = (gone[:-distance] * gone[distance:]).mean().item()
        assert pairs == pytest.approx(0.09, abs=0.002)


def test_the_gradient_passes_where_the_value_did():
    values = torch.randn(50, 60, requires_grad=True)
    made = dropout(values, 0.4)
    made.backward(torch.full_like(made, 2.0))
    assert torch.equal(made == 0, values.grad == 0)
    assert torch.allclose(values.grad[values.grad != 0], torch.tensor(2 / 0.6), rtol=1e-4)
    assert torch.allclose(made[made != 0], values[made != 0] / 0.6, rtol=1e-4)


def test_the_seed_of_torch_decides_the_mask():
    def drawn(seed):
        torch.manual_seed(seed)
        return [dropout(torch.ones(100), 0.5) for _ in range(2)]

    first, again, other = drawn(0), drawn(0), drawn(1)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], other[0])


@pytest.mark.parametrize(("p", "training"), [(0.0, True), (1.0, True), (0.5, False)])
def test_nothing_is_drawn_where_nothing_is_left_to_chance(p, training):
    state = torch.get_rng_state()
    assert torch.equal(dropout(torch.ones(10), p, training), functional.dropout(torch.ones(10), p, training))
    assert p == 1.0 or torch.equal(torch.get_rng_state(), state)


def test_every_dropout_of_a_model_is_drawn_so_inside_of_the_context_alone():
    module, called = nn.Dropout(0.5), []

    class Watched(FasterFunctionsMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            called.append(function)
            return super().__torch_function__(function, types, args, kwargs)

    def drawn(context):
        torch.manual_seed(0)
        with context:
            return module(torch.ones(1000))

    torch.manual_seed(0)
    ours = dropout(torch.ones(1000), 0.5)
    assert torch.equal(drawn(Watched()), ours)
    assert functional.dropout in called
    assert torch.equal(drawn(use_faster_functions(True, CPU)), ours)
    assert not torch.equal(drawn(use_faster_functions(False, CPU)), ours)
    assert not torch.equal(drawn(use_faster_functions(True, torch.device("cuda"))), ours)


def test_views_and_transposed_tensors_are_dropped_out_as_well():
    values = torch.randn(30, 40, requires_grad=True)
    made = dropout(values.T, 0.5)
    made.sum().backward()
    assert torch.equal((made != 0).T, values.grad != 0)


def losses(data_dir, folder, *overrides):
    cfg = composed(
        "train", "corpus=ravdess", *SMALL, "trainer=scratch", "trainer.max_steps=3", "tracking=none",
        *[f"trainer.{name}_steps=1" for name in ("eval", "save", "logging")], f"data_dir='{data_dir}'",
        f"output_dir='{folder}'", *overrides,
    )  # fmt: skip
    train(cfg)
    with (folder / "history.csv").open(newline="") as file:
        return [float(row["train_loss"]) for row in csv.DictReader(file)]


def test_a_run_in_bf16_on_a_cpu_draws_its_dropout_so(data_dir, tmp_path, monkeypatch):
    bf16 = "trainer.precision=bf16"
    still = [f"model.encoder_config.{name}_dropout=0" for name in ("hidden", "attention", "activation", "feat_proj")]
    first, again = (losses(data_dir, tmp_path / name, bf16) for name in ("first", "again"))
    without = losses(data_dir, tmp_path / "without", bf16, *still)
    monkeypatch.setattr(accelerated, "use_faster_functions", lambda *_: nullcontext())
    assert first == again != losses(data_dir, tmp_path / "plain", bf16)
    assert without == losses(data_dir, tmp_path / "plain without", bf16, *still)
