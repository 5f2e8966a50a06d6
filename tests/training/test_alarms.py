import logging

import numpy as np
import pytest
from helpers.tiny_trainers import ready
from transformers import TrainerCallback

from ser.data.protocols import Splits
from ser.errors import UserError
from ser.training.alarms import EvaluationAtEnd, LossAlarm, OneClassAlarm, warn_of_missing_classes

LABELS = {0: "neutral", 1: "calm", 2: "happy"}


class Broken(TrainerCallback):
    """Makes a weight no number after a step."""

    def on_step_end(self, args, state, control, model, **kwargs):
        if state.global_step == 2:
            model.classifier.weight.data.fill_(float("nan"))


def test_a_loss_that_is_not_finite_stops_training_with_advice(prepared, tmp_path):
    trainer = ready(
        prepared, tmp_path, "trainer.max_steps=6", "trainer.eval_steps=1", "trainer.save_steps=1",
        "trainer.save_total_limit=9",
    )  # fmt: skip
    trainer.add_callback(Broken())
    trainer.add_callback(LossAlarm())
    with pytest.raises(
        UserError, match=r"loss of evaluation is nan at step 2.*trainer\.warmup_steps=0\.1.*precision=fp32"
    ):
        trainer.train()
    assert [path.name for path in (tmp_path / "run").glob("checkpoint-*")] == ["checkpoint-1"]


def look(alarm, *evaluations):
    for classes in evaluations:
        alarm.look(np.eye(3)[list(classes)], 1e-4)


def test_one_class_for_all_clips_in_several_evaluations_is_logged_once(caplog):
    with caplog.at_level(logging.WARNING, "ser"):
        look(OneClassAlarm(LABELS), (1, 1), (1, 1), (2, 2), (2, 2), (0, 0))
    assert [record.getMessage().split(";")[0] for record in caplog.records] == [
        "the last 3 evaluations predict happy for every clip"
    ]


def test_a_second_class_in_between_is_no_collapse(caplog):
    with caplog.at_level(logging.WARNING, "ser"):
        look(OneClassAlarm(LABELS), (1, 1), (1, 1), (1, 0), (1, 1), (1, 1))
    assert not caplog.records


def test_the_trainer_looks_at_each_evaluation(prepared, tmp_path, caplog):
    trainer = ready(
        prepared, tmp_path, "trainer.max_steps=3", "trainer.eval_steps=1", "trainer.save_steps=1",
        "trainer.learning_rate=0",
    )  # fmt: skip
    trainer.model.classifier.bias.data[3] = 100.0
    with caplog.at_level(logging.WARNING, "ser"):
        trainer.train()
    assert f"the last 3 evaluations predict {trainer.model.config.id2label[3]} for every clip" in caplog.text


def test_a_split_without_an_emotion_is_named_with_the_highest_uar(prepared, caplog):
    rows = prepared.utterances
    without = rows.where(~rows.matches("emotion", ["calm"]))
    with caplog.at_level(logging.WARNING, "ser"):
        warn_of_missing_classes(Splits(rows, rows[:0], without), prepared.emotions)
    assert caplog.messages == [
        "warning: The test split has no clip of calm: its unweighted average recall is at most 7/8."
    ]
    caplog.clear()
    with caplog.at_level(logging.WARNING, "ser"):
        warn_of_missing_classes(Splits(without, rows[:0], rows), prepared.emotions)
    assert caplog.messages == ["warning: the train split has no clip of calm, which is not learned"]


def test_the_last_step_is_judged_whatever_the_library_does(prepared, tmp_path, monkeypatch):
    from transformers.trainer_callback import DefaultFlowCallback

    # As in transformers 5.0.
    monkeypatch.setattr(
        DefaultFlowCallback, "on_step_end",
        lambda self, args, state, control, **_: setattr(control, "should_training_stop", state.global_step >= 2),
    )  # fmt: skip
    trainer = ready(prepared, tmp_path, "trainer.eval_steps=100", "trainer.save_steps=100")
    trainer.add_callback(EvaluationAtEnd())
    trainer.train()
    assert trainer.state.best_global_step == 2
