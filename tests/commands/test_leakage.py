"""What leaking speakers do to a number: labels that are noise, and speakers with a favourite emotion each."""

import csv
import json

import numpy as np
import pytest
import soundfile
from conftest import composed, tone
from helpers.tiny_runs import run
from helpers.toys import seal
from sklearn.neighbors import KNeighborsClassifier

from ser import config
from ser.config import Corpus
from ser.corpora.ravdess import EMOTION_CODES, EMOTIONS
from ser.data.preparation import prepare
from ser.data.prepared_corpus import open_prepared
from ser.data.protocols import list_folds, split_corpus
from ser.evaluation.intervals import bootstrap_intervals

CHANCE = 1 / len(EMOTIONS)


def pitch(speaker):
    """Hertz: the one thing that a clip tells is who made it."""
    return 150 * 1.1 ** int(speaker)


@pytest.fixture(scope="module")
def leaking(tmp_path_factory):
    """768 clips in which 85 % of a speaker's labels are the speaker's favourite, and the others drawn at random."""
    root, data = tmp_path_factory.mktemp("leaking"), tmp_path_factory.mktemp("leaking-data")
    for speaker in range(1, 25):
        for emotion in EMOTION_CODES:
            for code in ("01-01", "01-02", "02-01", "02-02"):
                path = root / f"03-01-{emotion}-01-{code}-{speaker:02d}.wav"
                soundfile.write(path, tone(0.25, 16000, pitch(speaker)), 16000)
    prepare(config.Corpus("ravdess"), composed("train").protocol, str(root), str(data), config.Audit.warn)
    generator = np.random.default_rng(0)
    favourites = dict(zip(range(1, 25), generator.permutation(list(EMOTIONS) * 3), strict=True))
    rows = list(csv.DictReader((data / "manifest.csv").open()))
    for row in rows:
        noise = generator.random() > 0.85
        row["emotion"] = str(generator.choice(EMOTIONS) if noise else favourites[int(row["speaker"])])
    with (data / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    seal(data)
    return data


def nearest(protocol, utterances):
    """Truth, answer and speaker of each tested clip, the answer being that of the training clip closest in pitch."""
    rows, answers = [], []
    for fold in list_folds(protocol):
        splits = split_corpus(utterances, config.Protocol(**{**vars(protocol), "fold": fold}))
        classifier = KNeighborsClassifier(7).fit(
            [[pitch(row.speaker)] for row in splits.train], [row.emotion for row in splits.train]
        )
        rows += splits.test
        answers += list(classifier.predict([[pitch(row.speaker)] for row in splits.test]))
    return [row.emotion for row in rows], answers, [row.speaker for row in rows]


def test_under_the_papers_protocol_noise_is_recognised(leaking):
    prepared = open_prepared(str(leaking), Corpus("ravdess"))
    truth, answers, _ = nearest(composed("train").protocol, prepared.utterances)
    assert np.mean(np.array(truth) == answers) > 0.8


@pytest.mark.parametrize("name", ["emobox", "luna_jimenez", "actors_kfold", "leave_one_actor_out", "statement"])
def test_under_every_speaker_independent_protocol_noise_scores_chance(name, leaking):
    prepared = open_prepared(str(leaking), Corpus("ravdess"))
    truth, answers, speakers = nearest(composed("train", f"protocol={name}").protocol, prepared.utterances)
    interval = bootstrap_intervals(truth, answers, EMOTIONS, speakers)["accuracy"]
    assert interval.low < CHANCE < interval.high
    assert np.mean(np.array(truth) == answers) < 0.3


def test_a_trained_network_does_the_same_and_its_report_states_why(leaking, tmp_path):
    learn = ("trainer.max_steps=60", "trainer.eval_steps=60", "trainer.save_steps=60", "trainer.logging_steps=60")
    run(leaking, tmp_path / "paper", *learn)
    run(leaking, tmp_path / "emobox", *learn, "protocol=emobox", "protocol.fold=1")
    paper, emobox = (
        json.loads((folder / "classification_report.json").read_text())
        for folder in (tmp_path / "paper", tmp_path / "emobox" / "fold1")
    )
    assert paper["accuracy"] > 0.7
    assert emobox["accuracy"] < 0.4
    assert "24 of 24 test speakers also occur in the training split" in paper["in_words"]
    assert "Speaker-independent: no test speaker occurs in the training split" in emobox["in_words"]
    low, high = emobox["intervals"]["unweighted_average_recall"]
    assert low < CHANCE < high
