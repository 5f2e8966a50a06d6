"""Describe a protocol in sentences that are computed from the splits themselves."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow.compute as pc

from ser.config import Choose, Protocol, Split
from ser.data.audit import count_unknown, count_unknown_speakers, list_values, shared_speakers, shared_values
from ser.data.manifest import Utterance
from ser.data.protocols import Splits
from ser.data.published import is_published_split
from ser.rows import Rows
from ser.wording import counted

LAST = {
    Choose.last: "no split selected it.",
    Choose.inner: "the number of epochs was chosen on inner folds of whole training speakers, and then all of them "
    "were trained on.",
}
"""What decided the last step, by `trainer.choose`."""
NOT_SELECTED = "This checkpoint was written during training: it was not selected on any split."


def describe_protocol(protocol: Protocol, folds: Sequence[Splits], scored: Split, selected: bool = True) -> str:
    """Describe which speakers are tested, whether training had them too, and how the checkpoint was selected.

    Args:
        protocol: the protocol that divided the corpus.
        folds: the splits of each fold.
        scored: the split of each fold that is scored.
        selected: false for a checkpoint that was written during training and not selected.
    """
    sentences = [one_fold(protocol, folds[0], scored) if len(folds) == 1 else all_folds(protocol, folds, scored)]
    sentences += trained_and_tested(folds, scored) if len(folds) == 1 else []
    if scored is Split.train:
        sentences.append("These clips were used in training: the metrics describe the fit, not generalization.")
    else:
        sentences += [speaker_overlap(folds, scored), *session_overlap(folds, scored), *new_statements(folds, scored)]
    return " ".join([*sentences, *(selection(protocol, folds, scored) if selected else [NOT_SELECTED])])


def describe_trimming(trim: bool) -> list[str]:
    """Return a sentence where silence is cut off."""
    return ["The silence before and after the speech of each clip is cut off."] if trim else []


def describe_adaptation(adapted: Mapping[str, Any] | None) -> list[str]:
    """Return a sentence where the checkpoint was adapted to a voice; `adapted` is that entry of its stamp.

    >>> describe_adaptation({"clips": 24, "labelled": True})
    ['The checkpoint is adapted to 24 labelled clips of one voice, which are not scored.']
    """
    if adapted is None:
        return []
    kind = "labelled" if adapted["labelled"] else "unlabelled"
    return [f"The checkpoint is adapted to {adapted['clips']} {kind} clips of one voice, which are not scored."]


def describe_teachers(names: Sequence[str]) -> list[str]:
    """Return a sentence where the predictions of other runs were a second target of training.

    >>> describe_teachers(["ravdess-emobox-hubert_large-seed0"])
    ['Distilled: trained towards the predictions of ravdess-emobox-hubert_large-seed0 as well as the labels.']
    """
    return [f"Distilled: trained towards the predictions of {', '.join(names)} as well as the labels."] if names else []


def describe_labels(labels: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return a sentence where labels of the corpus were mapped or left out.

    >>> describe_labels({"mapped": {"excited -> happy": 12}, "left_out": {"bored": 3}})
    ['Labels mapped: excited -> happy (12 clips). Labels left out: bored (3 clips).']
    """
    texts = {"mapped": "Labels mapped", "left_out": "Labels left out"}
    sentences = []
    for key, text in texts.items():
        if counts := labels.get(key):
            named = (f"{name} ({counted(number, 'clips')})" for name, number in counts.items())
            sentences.append(f"{text}: {', '.join(named)}.")
    return [" ".join(sentences)] if sentences else []


def one_fold(protocol: Protocol, splits: Splits, scored: Split) -> str:
    utterances = splits.get(scored)
    fold = f", fold {protocol.fold}" if protocol.fold is not None else ""
    return (
        f"Protocol {protocol.name}{fold}: {len(splits.train)} training clips, "
        f"{len(splits.validation)} validation clips, {len(splits.test)} test clips; scored on the {scored.value} split "
        f"({counted(len(utterances), 'clips')}, {count_speakers(utterances)})."
    )


def trained_and_tested(folds: Sequence[Splits], scored: Split) -> list[str]:
    """Return a sentence where one corpus of several is tested by a model of others."""
    trained = sorted(list_values(folds, Split.train, "corpus"))
    tested = sorted(list_values(folds, scored, "corpus"))
    return [f"Trained on {', '.join(trained)}, scored on {', '.join(tested)}."] if trained != tested else []


def all_folds(protocol: Protocol, folds: Sequence[Splits], scored: Split) -> str:
    utterances = Rows.join(Utterance, [splits.get(scored) for splits in folds])
    clips = pc.count_distinct(utterances.texts("path")).as_py()
    repetition = "each tested once" if clips == len(utterances) else "some of them in several folds"
    sizes = [len(splits.train) for splits in folds]
    trained = " to ".join(map(str, sorted({min(sizes), max(sizes)})))
    return (
        f"Protocol {protocol.name}, {counted(len(folds), 'folds')}: {counted(clips, 'clips')} of "
        f"{count_speakers(utterances)}, {repetition}, by a model trained on {trained} other clips."
    )


def speaker_overlap(folds: Sequence[Splits], scored: Split) -> str:
    if unknown := max(count_unknown_speakers(splits, scored) for splits in folds):
        return (
            f"Speakers unknown: {counted(unknown, 'clips')} of the training and {scored.value} splits have no known "
            "speaker. Whether speakers are on both sides cannot be told, so the metrics do not describe new speakers."
        )
    everyone = list_values(folds, scored, "speaker")
    shared = set[str]().union(*(shared_speakers(splits, scored) for splits in folds))
    if shared:
        return (
            f"Not speaker-independent: {len(shared)} of {counted(len(everyone), f'{scored.value} speakers')} also "
            "occur in the training split, so the metrics do not describe new speakers."
        )
    return f"Speaker-independent: no {scored.value} speaker occurs in the training split."


def session_overlap(folds: Sequence[Splits], scored: Split) -> list[str]:
    """Return a sentence where conversations or sessions are on both sides of a split."""
    everything = list_values(folds, scored, "session") - {""}
    shared = set[str]().union(*(shared_values(splits, scored, "session") for splits in folds))
    if not shared:
        return []
    return [
        f"{len(shared)} of {counted(len(everything), f'{scored.value} sessions')} also occur in the training split."
    ]


def new_statements(folds: Sequence[Splits], scored: Split) -> list[str]:
    """Return a sentence where the spoken statements are new to the model as well."""
    statements = list_values(folds, scored, "statement")
    new = all(
        {*splits.get(scored).distinct("statement")}.isdisjoint(splits.train.distinct("statement")) for splits in folds
    )
    return [f"The {scored.value} statements do not occur there either."] if new and statements != {""} else []


def selection(protocol: Protocol, folds: Sequence[Splits], scored: Split) -> list[str]:
    """Return a sentence on the split that selected the checkpoint."""
    which = "The checkpoint" if len(folds) == 1 else "The checkpoint of each fold"
    if folds[0].choose is not Choose.best:
        return [f"{which} is that of the last step: {LAST[folds[0].choose]}"] if scored is not Split.train else []
    if scored is folds[0].selection_split:
        published = (
            f" Published in this form: {protocol.reference}." if is_published_split(protocol.name, folds) else ""
        )
        return [f"{which} was selected on this same split, which makes the metrics optimistic.{published}"]
    if scored is not Split.test:
        return []
    if any(shared_speakers(splits, Split.validation) or count_unknown(splits.validation) for splits in folds):
        clips = sorted({len(splits.validation) for splits in folds})
        return [f"{which} was selected on {' to '.join(map(str, clips))} other clips, not of other speakers."]
    numbers = sorted({len(splits.validation.distinct("speaker")) for splits in folds})
    return [f"{which} was selected on {' to '.join(map(str, numbers))} other held-out speakers."]


def count_speakers(utterances: Rows[Utterance]) -> str:
    """Return the number of speakers in words."""
    known = {*utterances.distinct("speaker")} - {""}
    return counted(len(known), "speakers") if known else "unknown speakers"
