import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import classification_report

from ser.data.manifest import Utterance
from ser.reports import history, report, tables
from ser.reports.provenance import Provenance

EMOTIONS = ["angry", "calm", "sad"]


@pytest.fixture
def scored():
    rows = [Utterance(path=f"{index}.wav", emotion=EMOTIONS[index % 3], speaker="1") for index in (3, 0, 2, 1)]
    rows = [replace(row, speaker=str(place % 2)) for place, row in enumerate(rows)]
    shares = np.array([[0.7, 0.2, 0.1], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8], [0.2, 0.6, 0.2]])
    return report.SplitPredictions(rows, EMOTIONS, shares)


def provenance(synthetic=False, new=True):
    return Provenance(
        corpus="synthetic" if synthetic else "ravdess",
        description="SYNTHETIC <corpus>" if synthetic else "RAVDESS",
        synthetic=synthetic,
        protocol={"name": "emobox", "fold": 2, "seed": 0, "test_sha256": "ab"},
        split="test",
        protocol_text="Speaker-independent: no test speaker occurs in the training split.",
        leaks=["Leak: 0.wav (test) and 9.wav (train) are the same recording."],
        speaker_independent=new,
        model="tiny",
        seed=0,
        step=300,
    )


def test_predictions_have_a_row_for_each_clip_and_a_column_for_each_emotion(scored, tmp_path):
    tables.write(tmp_path, report.build_report(scored, provenance()))
    rows = list(csv.reader((tmp_path / "predictions.csv").open()))
    assert rows[0] == ["path", "truth", "prediction", "angry", "calm", "sad"]
    assert rows[1] == ["0.wav", "angry", "calm", "0.200000", "0.500000", "0.300000"]
    assert [row[0] for row in rows[1:]] == ["0.wav", "1.wav", "2.wav", "3.wav"]


def test_the_text_report_is_scikit_learns_with_its_provenance_below(scored, tmp_path):
    measured = report.build_report(scored, provenance())
    tables.write(tmp_path, measured)
    text = (tmp_path / "classification_report.txt").read_text()
    assert text.startswith(classification_report(scored.truth, scored.labels, labels=EMOTIONS, zero_division=0))
    assert "Speaker-independent: no test speaker occurs in the training split." in text
    assert f"unweighted average recall {measured.metrics['unweighted_average_recall']:.3f} (95 % interval" in text
    assert "Leak: 0.wav (test) and 9.wav (train) are the same recording." in text


def test_every_metric_is_stamped_with_its_protocol(scored, tmp_path):
    tables.write(tmp_path, report.build_report(scored, provenance()))
    content = json.loads((tmp_path / "classification_report.json").read_text())
    assert content["protocol"]["test_sha256"] == "ab"
    assert content["protocol"]["fold"] == 2
    assert content["scored_on"] == "test"
    assert content["accuracy"] == 0.75
    assert content["classification_report"]["sad"]["support"] == 1


def test_the_confusion_matrix_is_numbers_and_a_picture(scored, tmp_path):
    tables.write(tmp_path, report.build_report(scored, provenance()))
    rows = list(csv.reader((tmp_path / "confusion_matrix.csv").open()))
    assert rows[1:] == [["angry", "1", "1", "0"], ["calm", "0", "1", "0"], ["sad", "0", "0", "1"]]
    assert (tmp_path / "confusion_matrix.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "confusion_matrix.pdf").read_bytes().startswith(b"%PDF")


def test_the_title_of_a_synthetic_number_names_it_synthetic():
    assert "SYNTHETIC (no human speech)" in provenance(synthetic=True).title
    assert "emobox fold 2" in provenance().title


LOG = [
    {"loss": 2.0, "accuracy": 0.1, "learning_rate": 1e-4, "grad_norm": 1.0, "epoch": 1.0, "step": 10, "seconds": 4.0},
    {
        "eval_loss": 1.9,
        "eval_accuracy": 0.2,
        "eval_unweighted_average_recall": 0.2,
        "eval_macro_f1": 0.1,
        "seconds": 4.5,
        "epoch": 1.0,
        "step": 10,
    },
    {"loss": 1.0, "accuracy": 0.6, "learning_rate": 0.0, "grad_norm": 1.0, "epoch": 2.0, "step": 20},
    {"train_runtime": 3.0, "train_loss": 1.5, "epoch": 2.0, "step": 20},
]


def test_history_puts_training_and_evaluation_of_a_step_in_one_row(tmp_path):
    rows = history.tabulate_log(LOG)
    assert [(row["step"], row["train_loss"], row["eval_loss"]) for row in rows] == [(10, 2.0, 1.9), (20, 1.0, None)]
    history.write(tmp_path / "history.csv", rows, "synthetic", {"name": "emobox", "fold": 2}, "validation")
    lines = (tmp_path / "history.csv").read_text().splitlines()
    assert lines[0].startswith("corpus,protocol,fold,evaluated_on,step,epoch,seconds,train_loss,train_accuracy")
    assert lines[1].startswith("synthetic,emobox,2,validation,10,1.0,4.5,2.0,0.1")
    assert history.read(tmp_path / "history.csv") == rows


def test_speakers_are_resampled_where_they_are_new_and_clips_where_training_had_them(scored):
    new, shared = (report.build_report(scored, provenance(new=new)) for new in (True, False))
    assert "intervals: 2 speakers resampled" in tables.report_text(new)
    assert "intervals: 4 clips resampled" in tables.report_text(shared)
    assert new.intervals["accuracy"] != shared.intervals["accuracy"]


def test_several_answers_to_one_clip_are_one_unit(scored):
    twice = report.SplitPredictions([*scored.utterances] * 2, EMOTIONS, np.concatenate([scored.probabilities] * 2))
    measured = report.build_report(twice, provenance(new=False))
    assert measured.intervals == report.build_report(scored, provenance(new=False)).intervals


def test_the_report_in_json_has_the_interval_beside_its_number(scored, tmp_path):
    tables.write(tmp_path, report.build_report(scored, provenance()))
    content = json.loads((tmp_path / "classification_report.json").read_text())
    low, high = content["intervals"]["accuracy"]
    assert low < content["accuracy"] < high
    assert content["resampled"] == "speakers"
    assert content["cross_entropy"] > 0
    assert content["leaks"] == provenance().leaks
