"""Score checkpoints on a split of the protocol that they were trained under: one, its folds, an ensemble of several."""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ser import config
from ser.config import Split
from ser.data.manifest import Utterance
from ser.data.prepared_corpus import CorpusClips, PreparedCorpus
from ser.errors import UserError
from ser.evaluation.calibration import Calibration, fit_temperature
from ser.evaluation.ensembles import combine_for_scores
from ser.evaluation.metrics import PROBABILITY_METRICS, confusion_matrix, summarize
from ser.evaluation.predictions import SplitPredictions
from ser.evaluation.stress import predict_stressed
from ser.evaluation.variation import Variation, measure_variation
from ser.experiments.scored import HOW, Scored, describe_prediction
from ser.experiments.together import Together, Trained, check_held_out, read_stored
from ser.models.arrays import Probabilities
from ser.models.outputs import scale_by_temperature
from ser.reports.provenance import Provenance
from ser.reports.sources import build_provenance, combine_provenances, pool_provenances
from ser.rows import Rows
from ser.runs.members import Member, Stamped
from ser.runs.trained_data import leave_out_adapted, open_trained_corpus, protocol_from_stamp, split_as_trained

log = logging.getLogger("ser")


@dataclass(frozen=True)
class ScoredFold:
    """The predictions of the scored clips of a fold."""

    utterances: Rows[Utterance]
    each: Sequence[Probabilities]
    """Of each member."""
    together: Probabilities
    stressed: Mapping[str, Probabilities]
    """By condition, of all members together; empty where no degraded clips were asked for."""
    temperature: float
    """Of the probabilities of all members together; 1: they stay."""
    held_out: int
    """Number of clips on which it was fitted."""
    seconds: float

    @property
    def calibrated(self) -> Probabilities:
        return self.together if self.temperature == 1 else scale_by_temperature(self.together, self.temperature)


def score_trained(cfg: config.Evaluate, members: Mapping[str, Member]) -> Scored:
    """Predict the scored clips of each fold, and describe what the metrics are about.

    Args:
        cfg: what is scored, and how.
        members: checkpoints by name and fold, all of them about the same scored clips.

    Raises:
        UserError: the data are not here or are others, or the protocol lacks the split.
    """
    folds = sorted(next(iter(members.values())), key=lambda fold: fold or 0)
    prepared = open_trained_corpus(next(iter(members.values()))[folds[0]].stamp, cfg.root, cfg.data_dir)
    in_folds = [load_fold([member[fold] for member in members.values()], prepared, cfg.split) for fold in folds]
    trained = {name: [one[at] for one in in_folds] for at, name in enumerate(members)}
    scored = [score_fold(cfg, prepared, one, may_read=len(folds) > 1) for one in in_folds]
    predictions = SplitPredictions(
        Rows.join(Utterance, [one.utterances for one in scored]),
        prepared.emotions,
        np.concatenate([one.calibrated for one in scored]),
        origins(trained, scored),
    )
    return Scored(
        predictions,
        describe(cfg, trained, prepared),
        prepared,
        stressed=join([one.stressed for one in scored]),
        members=join([dict(zip(trained, one.each, strict=True)) for one in scored]) if len(trained) > 1 else None,
        calibration=measure_calibration(scored, predictions) if cfg.calibrate else None,
        variation=vary(trained, scored, prepared.emotions) if len(folds) > 1 else None,
    )


def load_fold(found: Sequence[Stamped], prepared: PreparedCorpus, scored: Split) -> list[Trained]:
    """Return the checkpoints of a fold with their splits; clips that one of them was adapted to are not scored.

    Raises:
        UserError: the data are others, or the protocol lacks the split, or no clip is left.
    """
    splits = [split_as_trained(one.stamp, one.folder, prepared) for one in found]
    rows, name = splits[0].get(scored), found[0].stamp["identity"]["name"]
    if not rows:
        raise UserError(f"split={scored.value}: protocol '{name}' has no such split; choices: train, test")
    for one in found:
        rows = leave_out_adapted(one.stamp, prepared, rows)
    if not rows:
        raise UserError(f"checkpoint={found[0].folder}: it is adapted to every clip of the {scored.value} split")
    left: dict[str, Any] = {scored.value: rows}
    return [Trained(one.folder, one.stamp, replace(of_one, **left)) for one, of_one in zip(found, splits, strict=True)]


def score_fold(
    cfg: config.Evaluate, prepared: PreparedCorpus, members: Sequence[Trained], may_read: bool
) -> ScoredFold:
    """Predict the scored clips of a fold, also degraded where that is asked for.

    Args:
        cfg: what is scored, and how.
        prepared: the corpus.
        members: the checkpoints of the fold.
        may_read: whether predictions that the runs have stored may be taken.
    """
    started, utterances = time.time(), members[0].splits.get(cfg.split)
    held_out = check_held_out(members, cfg.split) if cfg.calibrate else []
    stored = [read_stored(cfg, member, utterances, prepared.emotions) for member in members if may_read]
    each, temperature = [one for one in stored if one is not None], 1.0
    stressed: Mapping[str, Probabilities] = {}
    if len(each) == len(members):
        log.info("fold %s: the predictions that the runs have stored are scored", members[0].stamp["identity"]["fold"])
    else:
        models = Together.load(members, prepared, cfg)
        each = models.predict_each(utterances)
        if held_out:
            truth = [row.emotion for row in held_out]
            temperature = fit_temperature(truth, models.predict(held_out), prepared.emotions)
        if cfg.stress:
            stressed = predict_stressed(models.predict_clips, CorpusClips(prepared, utterances), utterances)
    together, seconds = combine_for_scores(each, cfg.ensemble), time.time() - started
    return ScoredFold(utterances, each, together, stressed, temperature, len(held_out), seconds)


def measure_calibration(scored: Sequence[ScoredFold], predictions: SplitPredictions) -> Calibration:
    """Compute the metrics of the probabilities before they were scaled."""
    before = np.concatenate([one.together for one in scored])
    return Calibration(
        [one.temperature for one in scored],
        sum(one.held_out for one in scored),
        {
            name: metric.compute(predictions.truth, before, list(predictions.emotions))
            for name, metric in PROBABILITY_METRICS.items()
        },
    )


def join(parts: Sequence[Mapping[str, Probabilities]]) -> dict[str, Probabilities]:
    """Concatenate the probabilities of folds, name by name."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def origins(
    trained: Mapping[str, Sequence[Trained]], scored: Sequence[ScoredFold]
) -> list[tuple[int, int | None]] | None:
    """Return seed and fold behind each prediction, where a single checkpoint of each of several folds predicts."""
    if len(trained) > 1 or len(scored) == 1:
        return None
    (checkpoints,) = trained.values()
    return [
        (checkpoint.stamp["seed"], checkpoint.stamp["identity"]["fold"])
        for checkpoint, one in zip(checkpoints, scored, strict=True)
        for _ in one.utterances
    ]


def describe(cfg: config.Evaluate, trained: Mapping[str, Sequence[Trained]], prepared: PreparedCorpus) -> Provenance:
    """Return where the metrics come from."""
    each = {}
    for name, folds in trained.items():
        sources = [
            build_provenance(protocol_from_stamp(one.stamp), one.splits, cfg.split, one.stamp, prepared)
            for one in folds
        ]
        protocol, splits = protocol_from_stamp(folds[0].stamp), [one.splits for one in folds]
        each[name] = pool_provenances(sources, protocol, splits, folds[0].stamp, prepared)
    return describe_prediction(combine_provenances(each, HOW[cfg.ensemble]), cfg)


def vary(trained: Mapping[str, Sequence[Trained]], scored: Sequence[ScoredFold], emotions: Sequence[str]) -> Variation:
    """Compute the metrics of each fold."""
    seed = in_one(folds[0].stamp["seed"] for folds in trained.values())
    rows: list[dict[str, Any]] = []
    for at, one in enumerate(scored):
        predictions = SplitPredictions(one.utterances, emotions, one.together)
        rows.append(
            {
                "seed": seed,
                "fold": next(iter(trained.values()))[at].stamp["identity"]["fold"],
                "clips": len(one.utterances),
                "step": in_one(folds[at].stamp["step"] for folds in trained.values()),
                "seconds": round(one.seconds, 1),
                **summarize(confusion_matrix(predictions.truth, predictions.labels, emotions)),
            }
        )
    return measure_variation(rows)


def in_one(values: Iterable[int]) -> int | str:
    """Return a number, or several of them as a text."""
    distinct = list(dict.fromkeys(values))
    return distinct[0] if len(distinct) == 1 else ", ".join(map(str, distinct))
