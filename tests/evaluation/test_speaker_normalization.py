import numpy as np
import pytest
import torch
from helpers.toys import saved

from ser.corpora.ravdess import EMOTIONS
from ser.data.manifest import Utterance
from ser.errors import UserError
from ser.evaluation.scoring import Scorer
from ser.evaluation.speaker_normalization import (
    NormalizingScorer,
    Statistics,
    average_speakers,
    embed,
    find_mapping,
)
from ser.models import checkpoint
from ser.models.outputs import softmax

SPEAKERS = ("a", "a", "a", "b", "b", "b")
ROWS = [Utterance(path=f"{n}.wav", emotion="sad", speaker=name) for n, name in enumerate(SPEAKERS)]


def drawn(seed=0):
    """Embeddings of two speakers, each with a mean and a deviation of the speaker's own."""
    noise = np.random.default_rng(seed).normal(size=(6, 4))
    return np.where(np.array(SPEAKERS)[:, None] == "a", 5 + 2 * noise, -3 + 0.5 * noise)


def test_each_speaker_has_mean_and_deviation_of_a_training_speaker_afterwards():
    training = average_speakers(drawn(1), ROWS)
    embeddings = drawn()
    scales, shifts = find_mapping(embeddings, ROWS, training)
    mapped = scales * embeddings + shifts
    for some in (slice(0, 3), slice(3, 6)):
        assert mapped[some].mean(axis=0) == pytest.approx(training.mean)
        assert mapped[some].std(axis=0) == pytest.approx(training.deviation)


def test_training_speakers_are_averaged_not_their_clips():
    embeddings = np.array([[0.0], [2.0], [4.0], [10.0], [10.0], [10.0]])
    found = average_speakers(embeddings, ROWS)
    assert found.mean == pytest.approx([6.0])
    assert found.deviation == pytest.approx([np.sqrt(8 / 3 / 2)])


@pytest.mark.parametrize(
    ("speakers", "message"),
    [("aab", "true: 1 clip of speaker b; it needs"), (["a", "a", ""], "clips of unknown speakers")],
)
def test_a_speaker_without_other_clips_is_named(speakers, message):
    rows = [Utterance(path=f"{n}.wav", emotion="sad", speaker=name) for n, name in enumerate(speakers)]
    with pytest.raises(UserError, match=message):
        find_mapping(np.zeros((3, 4)), rows, Statistics(np.zeros(4), np.ones(4)))


@pytest.fixture
def scoring(prepared, tmp_path):
    """A random checkpoint, its scorer, and the clips of two speakers of the toy corpus."""
    classifier, extractor = checkpoint.load(saved(tmp_path / "toy"), EMOTIONS)
    scorer = Scorer.from_classifier(classifier, extractor, trim=False, batch_size=5)
    return classifier, scorer, prepared.utterances.where(prepared.utterances.matches("speaker", ["1", "2"]))


def test_predictions_are_those_of_the_mapped_embeddings(scoring, prepared):
    """The head pools by the mean, so that the mean over mapped frames is the mapped embedding."""
    classifier, scorer, rows = scoring
    training = average_speakers(embed(classifier, scorer, prepared, rows), rows)
    shifted = Statistics(training.mean + 0.5, 2 * training.deviation)
    embeddings = embed(classifier, scorer, prepared, rows)
    scales, shifts = find_mapping(embeddings, rows, shifted)
    mapped = torch.tensor(scales * embeddings + shifts, dtype=torch.float32)
    with torch.inference_mode():
        expected = classifier.cpu().classifier(classifier.projector(mapped)).numpy()
    predicted = NormalizingScorer(classifier, scorer, shifted).predict(prepared, rows)
    assert predicted.probabilities == pytest.approx(softmax(expected), abs=1e-4)
    assert predicted.probabilities != pytest.approx(scorer.predict(prepared, rows).probabilities, abs=1e-3)


def test_the_statistics_of_training_come_from_its_clips(scoring, prepared):
    classifier, scorer, rows = scoring
    fitted = NormalizingScorer.fit(classifier, scorer, prepared, rows)
    embeddings = embed(classifier, scorer, prepared, rows)
    assert fitted.training.mean == pytest.approx(embeddings.mean(axis=0), abs=1e-5)  # of as large speakers
