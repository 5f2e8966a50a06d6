"""Knowledge distillation: the predictions of other runs as a second target."""

import json
from contextlib import nullcontext

import pytest
import torch
from helpers.tiny_runs import run
from torch.nn import functional

from ser.errors import UserError
from ser.training.distillation import Teachers, find_teachers


class Constant(torch.nn.Module):
    """A classifier whose logits are a parameter; it keeps the names of its inputs."""

    def __init__(self, logits):
        super().__init__()
        self.scores, self.given = torch.nn.Parameter(torch.tensor(logits)), []

    def forward(self, **inputs):
        self.given.append((set(inputs), self.training))
        return type("Output", (), {"logits": self.scores})()


@pytest.fixture
def logits():
    return torch.tensor([[1.0, -1.0, 0.5], [0.0, 2.0, 0.0]], requires_grad=True)


def test_the_loss_is_that_of_the_formula_and_its_slope_is_softened(logits):
    probabilities, temperature, weight = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]]), 3.0, 0.25
    teachers = Teachers([], weight, temperature)
    labels = functional.cross_entropy(logits, torch.tensor([0, 1]))
    softened = (logits / temperature).softmax(dim=-1)
    divergence = (probabilities * (probabilities / softened).log()).sum(dim=-1)
    loss = teachers.combine(labels, logits, probabilities, None)
    torch.testing.assert_close(loss, 0.75 * labels + 0.25 * 9 * divergence.mean())
    only = Teachers([], 1.0, temperature).combine(labels, logits, probabilities, None)
    (slope,) = torch.autograd.grad(only, logits)
    torch.testing.assert_close(slope, temperature * (softened - probabilities) / 2)


def test_a_clip_of_weight_zero_does_not_count(logits):
    teachers, probabilities = Teachers([], 1.0, 2.0), torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])
    zero = torch.zeros(())
    both = teachers.combine(zero, logits, probabilities, torch.tensor([2.0, 0.0]))
    torch.testing.assert_close(both, teachers.combine(zero, logits[:1], probabilities[:1], None))


def test_teachers_predict_the_clips_as_in_use_and_their_mean_counts():
    members = [Constant([[2.0, 0.0]]), Constant([[0.0, 4.0]])]
    teachers = Teachers(members, 0.5, 2.0)
    teachers.to(torch.device("cpu"))
    batch = {"input_values": torch.zeros(1, 9), "labels": torch.zeros(1), "mask_time_indices": torch.ones(1, 2)}
    mean = teachers.predict(batch, nullcontext())
    expected = (torch.tensor([[1.0, 0.0]]).softmax(-1) + torch.tensor([[0.0, 2.0]]).softmax(-1)) / 2
    torch.testing.assert_close(mean, expected)
    assert not mean.requires_grad
    assert all(member.given == [({"input_values"}, False)] for member in members)


def test_a_run_is_trained_towards_another_and_says_so(finished_run, data_dir, tmp_path):
    run(data_dir, tmp_path / "run", f"trainer.teachers='{finished_run}'", "trainer.teacher_weight=1", "seed=1")
    run(data_dir, tmp_path / "alone", "seed=1")
    report, alone = (
        json.loads((tmp_path / name / "classification_report.json").read_text()) for name in ("run", "alone")
    )
    assert "Distilled: trained towards the predictions of run as well" in report["in_words"]
    assert "Distilled" not in alone["in_words"]
    assert report["cross_entropy"] != alone["cross_entropy"]


def test_a_teacher_of_another_fold_is_refused(finished_run, data_dir, tmp_path):
    with pytest.raises(UserError, match="may have been trained on clips that are tested here"):
        run(data_dir, tmp_path / "run", f"trainer.teachers='{finished_run}'", "protocol=emobox", "protocol.fold=1")
    with pytest.raises(UserError, match="takes other inputs"):
        run(data_dir, tmp_path / "run", f"trainer.teachers='{finished_run}'", "audio.trim=true")
    with pytest.raises(UserError, match="they need the waveforms"):
        run(data_dir, tmp_path / "run", f"trainer.teachers='{finished_run}'", "trainer.cache_features=true")


def test_of_several_folds_and_seeds_those_of_the_fold_are_taken(tmp_path):
    for name in ("seed0-fold1", "seed1-fold1", "seed0-fold2", "seed0-fold11"):
        (tmp_path / name / "checkpoint").mkdir(parents=True)
    assert [path.parent.name for path in find_teachers(str(tmp_path), 1)] == ["seed0-fold1", "seed1-fold1"]
