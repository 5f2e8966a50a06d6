"""The checkpoints of one fold: one, or the members of an ensemble, which predict together."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ser import config
from ser.config import Ensemble, Split
from ser.data.audio_file import Int16
from ser.data.audit import are_new_speakers
from ser.data.manifest import Utterance
from ser.data.prepared_corpus import CorpusClips, PreparedCorpus
from ser.data.protocols import Splits
from ser.errors import UserError
from ser.evaluation.ensembles import combine_for_scores
from ser.evaluation.perturbed import predict_with_copies
from ser.evaluation.scoring import PredictClips, Scorer
from ser.evaluation.speaker_normalization import NormalizingScorer
from ser.models import checkpoint
from ser.models.arrays import Probabilities
from ser.models.stamp import audio_config
from ser.rows import Rows
from ser.runs import finished, reading
from ser.runs.folder import PREDICTIONS, REPORT, TEST


@dataclass(frozen=True)
class Trained:
    """A checkpoint, and the splits that it was trained and tested on."""

    folder: Path
    stamp: dict[str, Any]
    splits: Splits


@dataclass(frozen=True)
class Together:
    """Loaded checkpoints."""

    scorers: Sequence[Scorer | NormalizingScorer]
    prepared: PreparedCorpus
    ensemble: Ensemble
    copies: int
    """Number of perturbed copies of each clip over which probabilities are averaged."""

    @classmethod
    def load(cls, members: Sequence[Trained], prepared: PreparedCorpus, cfg: config.Evaluate) -> "Together":
        """Load the checkpoints of a fold.

        Raises:
            UserError: one is damaged, or its labels are not those of the corpus.
        """
        scorers: list[Scorer | NormalizingScorer] = []
        for member in members:
            classifier, extractor = checkpoint.load(member.folder, prepared.emotions)
            trim = audio_config(member.stamp).trim
            scorer = Scorer.from_classifier(classifier, extractor, trim, cfg.batch_size)
            training = member.splits.train
            scorers.append(
                NormalizingScorer.fit(classifier, scorer, prepared, training) if cfg.speaker_normalization else scorer
            )
        return cls(scorers, prepared, cfg.ensemble, cfg.test_time_copies)

    def predict_each(self, utterances: Sequence[Utterance]) -> list[Probabilities]:
        """Return the probabilities of recordings of the corpus by each checkpoint, `(clips, emotions)`."""
        if not self.copies:
            return [scorer.predict(self.prepared, utterances).probabilities for scorer in self.scorers]
        clips = CorpusClips(self.prepared, utterances)
        return [predict_with_copies(predict, clips, self.copies) for predict in self.of_clips()]

    def predict(self, utterances: Sequence[Utterance]) -> Probabilities:
        """Return the probabilities of recordings of the corpus by all checkpoints together, `(clips, emotions)`."""
        return combine_for_scores(self.predict_each(utterances), self.ensemble)

    def predict_clips(self, clips: Sequence[Int16]) -> Probabilities:
        """Return the same for clips that are not in the corpus, such as degraded ones."""
        each = [predict_with_copies(predict, clips, self.copies) for predict in self.of_clips()]
        return combine_for_scores(each, self.ensemble)

    def of_clips(self) -> list[PredictClips]:
        """Return a function of each checkpoint; one that normalises speakers has none."""
        return [scorer.predict_clips for scorer in self.scorers if isinstance(scorer, Scorer)]


def read_stored(
    cfg: config.Evaluate, member: Trained, utterances: Sequence[Utterance], emotions: Sequence[str]
) -> Probabilities | None:
    """Return what a finished run has predicted for its test split, or None where a model must predict.

    The runs of folds keep their predictions, from which an ensemble of such runs is scored in seconds.
    """
    folder = member.folder.resolve().parent
    computes = cfg.stress or cfg.test_time_copies or cfg.calibrate or cfg.speaker_normalization
    if computes or cfg.split is not Split.test or not all((folder / name).is_file() for name in (PREDICTIONS, TEST)):
        return None
    if not (folder / REPORT).is_file() or not reading.is_about(reading.read_json(folder, REPORT), member.stamp):
        return None
    with reading.explain_damage(folder / PREDICTIONS):
        stored = finished.read_predictions(folder)
        if list(stored.emotions) != list(emotions):
            raise ValueError("it has other labels")
        places = {row.path: place for place, row in enumerate(stored.utterances)}
        return stored.probabilities[np.array([places[row.path] for row in utterances], dtype=np.intp)]


def check_held_out(members: Sequence[Trained], scored: Split) -> Rows[Utterance]:
    """Return the validation split, on which a temperature is fitted.

    Raises:
        UserError: there is none, or members have different ones, or its speakers may be trained on or scored.
    """
    splits = members[0].splits
    if not splits.validation:
        raise UserError(
            f"calibrate=true: {members[0].folder} was trained without a validation split; train it with "
            "protocol.validation_speakers=2, which holds speakers out"
        )
    if len({member.stamp["identity"]["validation_sha256"] for member in members}) > 1:
        raise UserError("calibrate=true: the members of the ensemble have different validation splits")
    speakers = set(splits.validation.distinct("speaker"))
    if not are_new_speakers(splits, Split.validation) or speakers & set(splits.get(scored).distinct("speaker")):
        raise UserError(
            "calibrate=true: the speakers of the validation split are unknown, or are trained on or scored as well; it "
            "needs held-out speakers (protocol.validation_speakers)"
        )
    return splits.validation
