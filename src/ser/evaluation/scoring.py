"""Predict every clip of a split."""

from collections.abc import Sequence
from functools import partial

from transformers import PreTrainedModel

from ser.config import Audio
from ser.data.dataset import ExtractorCollator, WaveformCollator, WaveformDataset, collated, in_order, scoring_batches
from ser.data.manifest import Utterance
from ser.data.prepared_corpus import PreparedCorpus
from ser.evaluation.predictions import SplitPredictions
from ser.models.architectures import depends_on_padding
from ser.models.forward import LogitsFunction, compute_logits
from ser.models.outputs import softmax


def score(
    classifier: PreTrainedModel,
    collator: WaveformCollator | ExtractorCollator,
    prepared: PreparedCorpus,
    rows: Sequence[Utterance],
    audio: Audio,
    batch_size: int,
) -> SplitPredictions:
    """The probabilities of each clip of a list, in the order of `rows`."""
    equal_lengths = depends_on_padding(classifier.config)
    return scored_by(partial(compute_logits, classifier), collator, prepared, rows, audio, batch_size, equal_lengths)


def scored_by(
    answer: LogitsFunction,
    collator: WaveformCollator | ExtractorCollator,
    prepared: PreparedCorpus,
    rows: Sequence[Utterance],
    audio: Audio,
    batch_size: int,
    equal_lengths: bool,
) -> SplitPredictions:
    """The same of whatever answers."""
    clips = WaveformDataset(prepared, rows, audio.trim)
    batches = scoring_batches(clips.lengths(), batch_size, equal_lengths)
    answers = softmax(answer(collated(clips, batches, collator)))
    return SplitPredictions(rows, prepared.emotions, in_order(answers, batches))
