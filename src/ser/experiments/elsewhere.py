"""Score a checkpoint, or anybody's predictions, on a corpus of choice."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from ser import config
from ser.corpora.labels import LabelMap
from ser.data import manifest
from ser.data.audio_file import Int16
from ser.data.groups import resolve_protocol
from ser.data.manifest import Utterance
from ser.data.preparation import open_or_prepare
from ser.data.prepared_corpus import CorpusClips, PreparedCorpus
from ser.data.protocols import list_folds, split_corpus, split_sha256
from ser.errors import UserError
from ser.evaluation import foreign
from ser.evaluation.ensembles import combine_for_scores
from ser.evaluation.foreign import Alignment
from ser.evaluation.predictions import SplitPredictions
from ser.evaluation.stress import predict_stressed
from ser.experiments.scored import HOW, Scored, describe_prediction
from ser.inference.predictor import Predictor
from ser.models.arrays import Probabilities
from ser.models.hub import find_checkpoint, is_hub_name
from ser.models.stamp import ADAPTED
from ser.reports.protocol_text import count_speakers, describe_adaptation, describe_labels
from ser.reports.provenance import Provenance
from ser.reports.sources import combine_provenances
from ser.rows import Rows
from ser.runs.trained_data import leave_out_adapted
from ser.wording import counted

PART_OF_RUN = re.compile(r"(seed\d+-?)?(fold\d+)?")
"""Names of the folders of seeds and folds in that of a run."""
PLAIN = config.Protocol(name="random", seed=0, test_fraction=0.2, validation_speakers=0, reference="every clip")
"""Divides a corpus that is prepared here; its lists are not used."""


def score_elsewhere(cfg: config.Evaluate) -> Scored:
    """Predict the clips of the corpus of choice, and describe what the metrics are about.

    Raises:
        UserError: the corpus is not prepared, or it shares too few emotions with the model.
    """
    corpus = cfg.corpus
    assert corpus is not None
    prepared = open_or_prepare(corpus, cfg.protocol or PLAIN, cfg.root, cfg.data_dir or f"data/{corpus.name}")
    rows = choose_clips(prepared, cfg)
    mapping = LabelMap(corpus.emotions, corpus.scheme)
    if cfg.predictions is not None:
        labels, probabilities = foreign.read_predictions(Path(cfg.predictions).expanduser(), rows)
        alignment = foreign.align(labels, prepared.emotions, mapping, f"predictions={cfg.predictions}")
        kept = [index for index, row in enumerate(rows) if row.emotion in alignment.emotions]
        scored = foreign.to_shared_labels([rows[index] for index in kept], probabilities[kept], alignment)
        source = describe_source(cfg, prepared, scored, alignment, name_of(cfg.predictions), {})
        return Scored(scored, source, prepared)
    predictor = Predictor.from_checkpoints(cfg.checkpoint, cfg.ensemble, cfg.batch_size, copies=cfg.test_time_copies)
    alignment = foreign.align(predictor.labels, prepared.emotions, mapping, f"checkpoint={cfg.checkpoint[0]}")
    for member in predictor.members:
        rows = leave_out_adapted(member.stamp, prepared, rows)
    used = [row for row in rows if row.emotion in alignment.emotions]
    clips = CorpusClips(prepared, used)

    def predict_each(some: Sequence[Int16]) -> list[Probabilities]:
        return [foreign.share(one, alignment) for one in predictor.predict_each(some)]

    def predict(some: Sequence[Int16]) -> Probabilities:
        return combine_for_scores(predict_each(some), cfg.ensemble)

    each = predict_each(clips)
    scored = SplitPredictions(used, alignment.emotions, combine_for_scores(each, cfg.ensemble))
    named = {member.name: member.stamp for member in predictor.members}
    sources = {
        name: describe_source(cfg, prepared, scored, alignment, stamp.get("model") or name_of(name), stamp, name)
        for name, stamp in named.items()
    }
    return Scored(
        scored,
        describe_prediction(combine_provenances(sources, HOW[cfg.ensemble]), cfg),
        prepared,
        stressed=predict_stressed(predict, clips, used) if cfg.stress else None,
        members=dict(zip(named, each, strict=True)) if len(named) > 1 else None,
    )


def choose_clips(prepared: PreparedCorpus, cfg: config.Evaluate) -> Rows[Utterance]:
    """Return the clips that are scored: all, or a split of each fold of the protocol."""
    if cfg.protocol is None:
        return prepared.utterances
    protocol = resolve_protocol(prepared.utterances, cfg.protocol)
    folds = [split_corpus(prepared.utterances, replace(protocol, fold=fold)) for fold in list_folds(protocol)]
    chosen = Rows.join(Utterance, [splits.get(cfg.split) for splits in folds]).unique("path")
    if not chosen:
        raise UserError(f"split={cfg.split.value}: protocol '{protocol.name}' has no such split")
    return chosen


def describe_source(
    cfg: config.Evaluate,
    prepared: PreparedCorpus,
    scored: SplitPredictions,
    alignment: Alignment,
    model: str,
    stamp: dict[str, Any],
    checkpoint: str | None = None,
) -> Provenance:
    """Return the provenance of predictions whose training is known by the stamp at most."""
    rows, protocol = scored.utterances, cfg.protocol
    where = (
        f"all clips of {prepared.corpus}" if protocol is None else f"protocol {protocol.name}, {cfg.split.value} split"
    )
    known, other = describe_training(stamp, prepared, rows)
    copies = describe_copies(checkpoint, rows) if stamp else []
    identity = {
        "name": "whole_corpus" if protocol is None else protocol.name,
        "fold": protocol.fold if protocol else None,
        "seed": protocol.seed if protocol else None,
        "test_sha256": split_sha256(rows),
    }
    hard = cfg.predictions is not None and set(scored.probabilities.ravel().tolist()) <= {0.0, 1.0}
    sentences = [
        f"Scored on {where}: {counted(len(rows), 'clips')} of {count_speakers(Rows.of(Utterance, rows))}.",
        known,
        alignment.describe(),
        *describe_adaptation(stamp.get(ADAPTED)),
        *describe_labels(prepared.labels),
        *["Only labels were given: probabilities are 1 and 0, and their calibration means nothing."] * hard,
    ]
    return Provenance(
        corpus=prepared.corpus,
        description=prepared.facts.description,
        synthetic=prepared.facts.synthetic,
        protocol=identity,
        split="all" if protocol is None else cfg.split.value,
        protocol_text=" ".join(sentences),
        leaks=[*([] if other or not stamp else [known]), *copies],
        speaker_independent=other and not copies,
        model=model,
        seed=stamp.get("seed"),
        step=stamp.get("step"),
        speakers_known=all(row.speaker for row in rows),
    )


def describe_training(stamp: dict[str, Any], prepared: PreparedCorpus, rows: Sequence[Utterance]) -> tuple[str, bool]:
    """Say what is known of the training, and whether the scored speakers are certainly new to the model."""
    if not stamp:
        return "Nothing is known of its training: whether these clips or speakers were in it cannot be told.", False
    trained = set(stamp.get("corpus_settings", {}).get("parts") or [stamp["corpus"]])
    both = sorted(trained & (set(prepared.parts) or {prepared.corpus}))
    source = f"{stamp['corpus']} under protocol {stamp['identity']['name']}"
    if both:
        return f"It was trained on {source}: scored clips of {', '.join(both)} may have been in its training.", False
    return f"It was trained on another corpus, {source}.", all(row.speaker for row in rows)


def describe_copies(checkpoint: str | None, rows: Sequence[Utterance]) -> list[str]:
    """Return a sentence where scored clips are in the training split of a run, under whatever name."""
    if checkpoint is None or is_hub_name(checkpoint):
        return []
    trained = find_checkpoint(checkpoint).resolve().parent / "train.csv"
    if not trained.is_file():
        return []
    samples = manifest.read(trained).texts("sha256")
    copies = pc.sum(pc.is_in(Rows.of(Utterance, rows).texts("sha256"), value_set=samples)).as_py()
    return [f"Leak: {copies} of the {len(rows)} scored clips are recordings of its training split."] * bool(copies)


def name_of(given: str) -> str:
    """Return the last part of a path or a hub name; of a fold or a seed with the folder of its run."""
    if not Path(given).exists():
        return given.rpartition("/")[2]
    path = Path(given).resolve()
    return f"{path.parent.name}-{path.stem}" if PART_OF_RUN.fullmatch(path.name) else path.stem
