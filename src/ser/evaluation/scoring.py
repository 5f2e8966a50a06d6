"""Predict every clip of a split."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from transformers import PreTrainedModel, SequenceFeatureExtractor

from ser.data.audio_file import Int16
from ser.data.batches import restore_order, scoring_batches
from ser.data.dataset import Example, WaveformDataset, collator_for, iterate_batches
from ser.data.manifest import Utterance
from ser.data.prepared_corpus import PreparedCorpus
from ser.data.silence import cut_silence
from ser.evaluation.predictions import SplitPredictions
from ser.models.architectures import depends_on_padding
from ser.models.arrays import Probabilities
from ser.models.forward import LogitsFunction, compute_logits
from ser.models.outputs import softmax

PredictClips = Callable[[Sequence[Int16]], Probabilities]
"""Predicts 16 kHz clips, each `(samples,)`; a prediction does not depend on the other clips."""


@dataclass(frozen=True)
class Scorer:
    """Predicts splits, with a checkpoint or another form of it."""

    logits: LogitsFunction
    collator: Any
    trim: bool
    """Whether the silence around the speech is cut off."""
    batch_size: int
    equal_lengths: bool
    """Whether batches are made of clips of equal length, because the logits depend on padding."""

    @classmethod
    def from_classifier(
        cls, classifier: PreTrainedModel, extractor: SequenceFeatureExtractor, trim: bool, batch_size: int
    ) -> "Scorer":
        equal_lengths = depends_on_padding(classifier.config)
        return cls(partial(compute_logits, classifier), collator_for(extractor), trim, batch_size, equal_lengths)

    def predict(self, prepared: PreparedCorpus, utterances: Sequence[Utterance]) -> SplitPredictions:
        """Predict the probabilities of clips, in their order."""
        clips = WaveformDataset(prepared, utterances, self.trim)
        batches = scoring_batches(clips.lengths(), self.batch_size, self.equal_lengths)
        probabilities = softmax(self.logits(iterate_batches(clips, batches, self.collator)))
        return SplitPredictions(utterances, prepared.emotions, restore_order(probabilities, batches))

    def predict_clips(self, clips: Sequence[Int16]) -> Probabilities:
        """Predict the probabilities of clips that are not in the cache, such as degraded ones."""
        spoken = list(map(cut_silence, clips)) if self.trim else clips
        examples = [Example(samples=clip, label=0, clip=0) for clip in spoken]  # the logits need no label
        batches = scoring_batches([len(clip) for clip in spoken], self.batch_size, self.equal_lengths)
        collated = (self.collator([examples[index] for index in batch]) for batch in batches)
        return restore_order(softmax(self.logits(collated)), batches)
