import csv

import pytest

from ser.data.manifest import Utterance
from ser.evaluation.subgroups import evaluate_subgroups, write


def rows():
    return [
        Utterance(path=f"{index}.wav", emotion=emotion, speaker=speaker, gender=gender, intensity=intensity)
        for index, (emotion, speaker, gender, intensity) in enumerate(
            [
                ("sad", "10", "female", "strong"),
                ("calm", "10", "female", "normal"),
                ("sad", "2", "male", "strong"),
                ("neutral", "2", "male", "normal"),
            ]
        )
    ]


def test_each_speaker_gender_and_intensity_has_its_row_in_natural_order():
    tables = evaluate_subgroups(rows(), ["sad", "sad", "sad", "neutral"])
    assert {field: [group.value for group in groups] for field, groups in tables.items()} == {
        "speaker": ["2", "10"],
        "gender": ["female", "male"],
        "intensity": ["normal", "strong"],
    }
    assert [(group.clips, group.accuracy) for group in tables["speaker"]] == [(2, 1.0), (2, 0.5)]


def test_an_emotion_that_a_group_cannot_have_does_not_count_in_it():
    strong = evaluate_subgroups(rows(), ["sad", "sad", "sad", "neutral"])["intensity"][1]
    assert strong.unweighted_average_recall == pytest.approx(1.0)


def test_the_tables_are_one_csv(tmp_path):
    write(tmp_path / "breakdown.csv", evaluate_subgroups(rows(), ["sad"] * 4), "ravdess", "emobox")
    lines = list(csv.DictReader((tmp_path / "breakdown.csv").open()))
    assert len(lines) == 6
    assert lines[0] == {
        "corpus": "ravdess", "protocol": "emobox", "field": "speaker", "value": "2", "clips": "2",
        "accuracy": "0.5", "unweighted_average_recall": "0.5",
    }  # fmt: skip
