"""Speaker normalisation: embeddings of a speaker's clips, brought to mean and deviation of the training speakers.

It uses the other clips of the scored speaker, without their labels, so its metrics are not those of a model that is
given one clip of a stranger. Pepino et al. 2021, Emotion Recognition from Speech Using wav2vec 2.0 Embeddings (arXiv
2104.03502), normalise the features of each speaker in this way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ser.data.batches import restore_order, scoring_batches
from ser.data.dataset import WaveformDataset, iterate_batches
from ser.data.manifest import Utterance
from ser.data.prepared_corpus import PreparedCorpus
from ser.errors import UserError
from ser.evaluation.predictions import SplitPredictions
from ser.evaluation.scoring import Scorer
from ser.models.embeddings import compute_logits_and_embeddings, compute_mapped_logits
from ser.models.outputs import softmax
from ser.wording import counted

Embeddings = npt.NDArray[np.float64]
"""`(clips, width)`."""
FEWEST = 2
"""Clips of a speaker, for a deviation."""
SMALLEST = 1e-6
"""Deviation of a constant channel."""
TEXT = (
    "Uses the other clips of the scored speakers, unlabelled: the embeddings of each speaker are brought to mean and "
    "deviation of the training speakers (arXiv 2104.03502)."
)


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation of embeddings, each `(width,)`."""

    mean: npt.NDArray[np.float64]
    deviation: npt.NDArray[np.float64]

    @classmethod
    def of(cls, embeddings: Embeddings) -> "Statistics":
        return cls(embeddings.mean(axis=0), np.maximum(embeddings.std(axis=0), SMALLEST))


def group_by_speaker(utterances: Sequence[Utterance]) -> dict[str, list[int]]:
    """Return the places of the clips of each speaker.

    Raises:
        UserError: a speaker is unknown or has too few clips.
    """
    places: dict[str, list[int]] = {}
    for place, row in enumerate(utterances):
        places.setdefault(row.speaker, []).append(place)
    if few := [name for name, clips in places.items() if not name or len(clips) < FEWEST]:
        what = (
            f"{counted(len(places[few[0]]), f'clips of speaker {few[0]}')}" if few[0] else "clips of unknown speakers"
        )
        raise UserError(f"speaker_normalization=true: {what}; it needs {FEWEST} clips of each known speaker")
    return places


def average_speakers(embeddings: Embeddings, utterances: Sequence[Utterance]) -> Statistics:
    """Return the mean of the speakers' means, and the root of the mean of their variances."""
    each = [Statistics.of(embeddings[places]) for places in group_by_speaker(utterances).values()]
    variance = np.mean([one.deviation**2 for one in each], axis=0)
    return Statistics(np.mean([one.mean for one in each], axis=0), np.sqrt(variance))


def find_mapping(
    embeddings: Embeddings, utterances: Sequence[Utterance], training: Statistics
) -> tuple[Embeddings, Embeddings]:
    """Return scale and shift of each clip, `(clips, width)`: `x' = (x - m_s) / d_s * d + m = scale * x + shift`.

    Args:
        embeddings: of the scored clips.
        utterances: their speakers, with mean `m_s` and deviation `d_s` over the clips of each.
        training: mean `m` and deviation `d` of a training speaker.
    """
    scales, shifts = np.empty_like(embeddings), np.empty_like(embeddings)
    for places in group_by_speaker(utterances).values():
        own = Statistics.of(embeddings[places])
        scales[places] = training.deviation / own.deviation
        shifts[places] = training.mean - scales[places[0]] * own.mean
    return scales, shifts


@dataclass(frozen=True)
class NormalizingScorer:
    """A scorer that normalises the embeddings of each speaker; predictions depend on all scored clips."""

    classifier: Any
    scorer: Scorer
    training: Statistics

    @classmethod
    def fit(
        cls, classifier: Any, scorer: Scorer, prepared: PreparedCorpus, training: Sequence[Utterance]
    ) -> "NormalizingScorer":
        """Measure the embeddings of the training split."""
        return cls(classifier, scorer, average_speakers(embed(classifier, scorer, prepared, training), training))

    def predict(self, prepared: PreparedCorpus, utterances: Sequence[Utterance]) -> SplitPredictions:
        """Predict the probabilities of clips, in their order."""
        embeddings = embed(self.classifier, self.scorer, prepared, utterances)
        scales, shifts = find_mapping(embeddings, utterances, self.training)
        clips, batches = make_batches(self.scorer, prepared, utterances)
        order = [index for batch in batches for index in batch]
        collated = iterate_batches(clips, batches, self.scorer.collator)
        logits = compute_mapped_logits(self.classifier, collated, scales[order], shifts[order])
        return SplitPredictions(utterances, prepared.emotions, restore_order(softmax(logits), batches))


def make_batches(
    scorer: Scorer, prepared: PreparedCorpus, utterances: Sequence[Utterance]
) -> tuple[WaveformDataset, list[list[int]]]:
    """Return the clips, and the batches in which a scorer predicts them."""
    clips = WaveformDataset(prepared, utterances, scorer.trim)
    return clips, scoring_batches(clips.lengths(), scorer.batch_size, scorer.equal_lengths)


def embed(classifier: Any, scorer: Scorer, prepared: PreparedCorpus, utterances: Sequence[Utterance]) -> Embeddings:
    """Return the utterance embedding of each clip: the mean over its frames of what the head projects and pools."""
    clips, batches = make_batches(scorer, prepared, utterances)
    collated = iterate_batches(clips, batches, scorer.collator)
    _, embeddings = compute_logits_and_embeddings(classifier, collated, frames=False)
    return restore_order(np.stack(embeddings).astype(np.float64), batches)
