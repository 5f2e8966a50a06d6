"""Build the provenance of a run, of pooled folds and seeds, and of an ensemble."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ser.config import Protocol, Split
from ser.data.audit import are_new_speakers, count_unknown_speakers, describe_leaks, describe_missing_emotions
from ser.data.prepared_corpus import PreparedCorpus
from ser.data.protocols import Splits
from ser.models.stamp import ADAPTED, AUGMENT, INTERMEDIATE, TEACHERS, audio_config
from ser.reports.augmentation_text import describe_augmentation
from ser.reports.protocol_text import (
    describe_adaptation,
    describe_labels,
    describe_protocol,
    describe_teachers,
    describe_trimming,
)
from ser.reports.provenance import Provenance


def build_provenance(
    protocol: Protocol, splits: Splits, split: Split, stamp: dict[str, Any], prepared: PreparedCorpus
) -> Provenance:
    """Describe where the metrics of one run come from."""
    return Provenance(
        corpus=stamp["corpus"],
        description=prepared.facts.description,
        synthetic=prepared.facts.synthetic,
        protocol=stamp["identity"],
        split=split.value,
        protocol_text=describe_splits(protocol, [splits], split, stamp, prepared),
        leaks=describe_leaks(splits, split, prepared.duplicates),
        speaker_independent=are_new_speakers(splits, split),
        model=stamp["model"],
        seed=stamp["seed"],
        step=stamp["step"],
        speakers_known=not count_unknown_speakers(splits, split),
    )


def describe_splits(
    protocol: Protocol, folds: Sequence[Splits], split: Split, stamp: dict[str, Any], prepared: PreparedCorpus
) -> str:
    """Describe in sentences what the metrics of a fold, or of several, are about."""
    sentences = [
        describe_protocol(protocol, folds, split, selected=not stamp.get(INTERMEDIATE)),
        *describe_missing_emotions(folds, split, prepared.emotions),
        *describe_labels(labels_of(prepared, protocol)),
        *describe_trimming(audio_config(stamp).trim),
        *describe_augmentation(stamp.get(AUGMENT, {})),
        *describe_teachers(stamp.get(TEACHERS, [])),
        *describe_adaptation(stamp.get(ADAPTED)),
    ]
    return " ".join(sentences)


def labels_of(prepared: PreparedCorpus, protocol: Protocol) -> dict[str, dict[str, int]]:
    """Return the labels that were changed, without what was left out of a joined corpus that the protocol does not use.

    Joined corpora count what was left out as `calm of ravdess`.
    """
    unused = tuple(f" of {name}" for name in prepared.parts if name not in (protocol.corpora or prepared.parts))
    return {
        kind: {name: number for name, number in counts.items() if kind != "left_out" or not name.endswith(unused)}
        for kind, counts in prepared.labels.items()
    }


def pool_provenances(
    sources: Sequence[Provenance],
    protocol: Protocol,
    folds: Sequence[Splits],
    stamp: dict[str, Any],
    prepared: PreparedCorpus,
) -> Provenance:
    """Describe where the metrics of several folds and seeds come from.

    Args:
        sources: of each run.
        protocol: of all of them.
        folds: the splits of each fold.
        stamp: of the checkpoint of a fold.
        prepared: the corpus.
    """
    first = sources[0]
    if len(sources) == 1:
        return first
    identities = {source.protocol["fold"]: source.protocol for source in sources}
    text = describe_splits(protocol, folds, Split(first.split), stamp, prepared)
    identity = first.protocol if len(identities) == 1 else over_folds(first.protocol, [*identities.values()])
    return replace(merge(sources), protocol=identity, protocol_text=text)


def merge(sources: Sequence[Provenance]) -> Provenance:
    """Return the first of several provenances, with the leaks, speakers and seeds of all of them."""
    seeds = list(dict.fromkeys(seed for source in sources for seed in source.seeds))
    return replace(
        sources[0],
        leaks=list(dict.fromkeys(leak for source in sources for leak in source.leaks)),
        speaker_independent=all(source.speaker_independent for source in sources),
        speakers_known=all(source.speakers_known for source in sources),
        seed=seeds if len(seeds) > 1 else next(iter(seeds), None),
        step=None,
    )


def over_folds(first: dict[str, Any], folds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the identity of all folds of a protocol."""
    return {"name": first["name"], "fold": None, "seed": first["seed"], "folds": folds}


def combine_provenances(members: Mapping[str, Provenance], how: str) -> Provenance:
    """Describe where the metrics of an ensemble come from.

    Args:
        members: by name, where those of each member come from.
        how: how the ensemble predicts, in a few words.
    """
    first, *others = members.values()
    if not others:
        return first
    texts = {name: source.protocol_text for name, source in members.items()}
    if len(set(texts.values())) == 1:
        sentences = [first.protocol_text]
    else:
        sentences = [f"{name}: {text}" for name, text in texts.items()]
    models = " + ".join(dict.fromkeys(source.model for source in members.values()))
    return replace(
        merge([*members.values()]),
        protocol_text=" ".join([f"Ensemble of {len(members)} members, {how}.", *sentences]),
        model=f"ensemble of {len(members)} ({models})",
    )
