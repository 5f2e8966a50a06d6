import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit

from ser.evaluation.intervals import bootstrap_intervals
from ser.evaluation.metrics import confusion_matrix, summarize

LABELS = ["angry", "calm", "neutral", "sad"]


def some_answers(generator, clips=300):
    truth = generator.choice(LABELS, clips, p=[0.4, 0.3, 0.1, 0.2])
    guess = generator.choice(LABELS, clips)
    return truth, np.where(generator.random(clips) < 0.6, truth, guess)


def test_the_same_answers_have_the_same_interval():
    truth, prediction = some_answers(np.random.default_rng(0))
    units = [str(index % 7) for index in range(len(truth))]
    assert bootstrap_intervals(truth, prediction, LABELS, units) == bootstrap_intervals(
        truth, prediction, LABELS, units
    )


def test_an_interval_holds_its_number_and_stays_between_0_and_1():
    truth, prediction = some_answers(np.random.default_rng(3), clips=40)
    metrics = summarize(confusion_matrix(truth, prediction, LABELS))
    for name, interval in bootstrap_intervals(truth, prediction, LABELS, list(range(40))).items():
        assert 0 <= interval.low < metrics[name] < interval.high <= 1


def test_speakers_who_differ_make_the_interval_wider_than_their_clips_would():
    truth = ["sad", "calm"] * 100
    # Ten speakers of twenty clips: half of them are always understood, half never.
    speakers = [str(index // 20) for index in range(200)]
    prediction = [label if int(s) % 2 else "angry" for label, s in zip(truth, speakers, strict=True)]
    by_clip = bootstrap_intervals(truth, prediction, LABELS, list(range(200)))["accuracy"]
    by_speaker = bootstrap_intervals(truth, prediction, LABELS, speakers)["accuracy"]
    assert by_speaker.high - by_speaker.low > 3 * (by_clip.high - by_clip.low)


def test_one_speaker_gives_no_information_about_others():
    assert bootstrap_intervals(["sad", "calm"], ["sad", "sad"], LABELS, ["1", "1"])["accuracy"] == (0.0, 1.0)


def test_all_right_is_no_proof_of_perfection():
    all_right = bootstrap_intervals(["sad"] * 30, ["sad"] * 30, ["sad"], list(range(30)))["accuracy"]
    assert all_right.high == 1
    assert all_right.low == pytest.approx(0.025 ** (1 / 30))
    none_right = bootstrap_intervals(["sad"] * 30, ["calm"] * 30, ["calm", "sad"], list(range(30)))["accuracy"]
    assert none_right == (0.0, pytest.approx(1 - 0.025 ** (1 / 30)))


def test_speakers_with_the_same_score_leave_the_error_of_their_clips():
    truth = ["sad", "calm"] * 60
    prediction = ["angry" if index % 4 == 0 else label for index, label in enumerate(truth)]
    found = bootstrap_intervals(truth, prediction, LABELS, [str(index // 60) for index in range(120)])["accuracy"]
    reach = stats.t.ppf(0.975, 119) / np.sqrt(120 * 0.75 * 0.25)
    assert found == pytest.approx(expit(logit(0.75) + np.array([-reach, reach])))


def test_a_perfect_model_reaches_the_highest_value_that_a_split_without_an_emotion_allows():
    truth = ["angry", "calm", "neutral"] * 10  # no clip of sad: its recall is 0
    found = bootstrap_intervals(truth, truth, LABELS, list(range(30)))
    low = 0.025 ** (1 / 30)
    assert found["accuracy"] == (pytest.approx(low), 1.0)
    assert found["unweighted_average_recall"] == (pytest.approx(0.75 * low), 0.75)


def test_no_interval_goes_beyond_what_a_split_without_an_emotion_allows():
    truth = ["angry", "calm", "neutral"] * 10
    prediction = ["calm", *truth[1:]]
    assert bootstrap_intervals(truth, prediction, LABELS, list(range(30)))["unweighted_average_recall"].high < 0.75


def understood(generator, speakers, clips_each, spread):
    """Truth, prediction and speaker of simulated clips; some speakers are easier than others, sad harder than calm."""
    ease = generator.normal(0, spread, size=(speakers, 1)) + np.linspace(0.2, 1.8, len(LABELS))
    shares = 1 / (1 + np.exp(-ease))
    rows = [
        (label, label if generator.random() < shares[speaker, place] else generator.choice(others(label)), str(speaker))
        for speaker in range(speakers)
        for place, label in enumerate(LABELS)
        for _ in range(clips_each // len(LABELS))
    ]
    return zip(*rows, strict=True)


def others(label):
    return [other for other in LABELS if other != label]


@pytest.mark.parametrize(("speakers", "clips_each", "spread"), [(24, 24, 0.8), (4, 60, 0.6), (60, 4, 0.0)])
def test_the_interval_covers_the_true_value_in_93_to_97_percent_of_simulated_runs(speakers, clips_each, spread):
    generator = np.random.default_rng(5)
    population = generator.normal(0, spread, size=(200_000, 1)) + np.linspace(0.2, 1.8, len(LABELS))
    true_value = float((1 / (1 + np.exp(-population))).mean())
    covered = {"accuracy": 0, "unweighted_average_recall": 0}
    runs = 600
    for _ in range(runs):
        truth, prediction, speaker = understood(generator, speakers, clips_each, spread)
        found = bootstrap_intervals(truth, prediction, LABELS, speaker)
        for name in covered:
            covered[name] += found[name].low <= true_value <= found[name].high
    for name, number in covered.items():
        assert 0.93 <= number / runs <= 0.97, name
