"""What a reader must know to judge a number of a protocol, in sentences computed from the lists themselves."""

from collections.abc import Sequence

from ser.config import Protocol, Split
from ser.data.audit import shared_speakers
from ser.data.protocols import Splits
from ser.data.published import as_published

ON_THE_WAY = "These weights were saved in the middle of training: no split has chosen them."


def in_words(protocol: Protocol, folds: Sequence[Splits], scored: Split, chosen: bool = True) -> str:
    """Who is tested, who was heard in training, and where the checkpoint was chosen.

    Args:
        protocol: what divided the corpus.
        folds: splits of each fold that the number is about.
        scored: the list of each fold whose clips the number is about.
        chosen: false for a checkpoint that was saved on the way, and that no split has chosen.
    """
    sentences = [one_fold(protocol, folds[0], scored) if len(folds) == 1 else all_folds(protocol, folds, scored)]
    if scored is Split.train:
        sentences.append("These clips were trained on: the number says how well they were learned, nothing else.")
    else:
        sentences += [speakers_heard(folds, scored), *statements_heard(folds, scored)]
    return " ".join([*sentences, *(where_chosen(protocol, folds, scored) if chosen else [ON_THE_WAY])])


def silence(trim: bool) -> list[str]:
    """Says so where clips are not heard as they were recorded."""
    return ["The silence before and after the speech of each clip is cut off."] if trim else []


def one_fold(protocol: Protocol, splits: Splits, scored: Split) -> str:
    utterances = splits.get(scored)
    fold = f", fold {protocol.fold}" if protocol.fold is not None else ""
    return (
        f"Protocol {protocol.name}{fold}: {len(splits.train)} training clips, "
        f"{len(splits.validation)} validation clips, {len(splits.test)} test clips; scored on the {scored.value} list "
        f"({len(utterances)} clips, {counted(len({utterance.speaker for utterance in utterances}), 'speaker')})."
    )


def all_folds(protocol: Protocol, folds: Sequence[Splits], scored: Split) -> str:
    rows = [row for splits in folds for row in splits.get(scored)]
    paths, speakers = {row.path for row in rows}, {row.speaker for row in rows}
    often = "each tested once" if len(paths) == len(rows) else "some of them in several folds"
    sizes = [len(splits.train) for splits in folds]
    trained = " to ".join(map(str, sorted({min(sizes), max(sizes)})))
    return (
        f"Protocol {protocol.name}, {len(folds)} folds: {len(paths)} clips of {counted(len(speakers), 'speaker')}, "
        f"{often}, by a model trained on {trained} other clips."
    )


def speakers_heard(folds: Sequence[Splits], scored: Split) -> str:
    everyone = {row.speaker for splits in folds for row in splits.get(scored)}
    known = set[str]().union(*(shared_speakers(splits, scored) for splits in folds))
    if known:
        return (
            f"{len(known)} of these {counted(len(everyone), 'speaker')} also speak in the training list: "
            "the number says little about speakers the model has not heard."
        )
    return "None of these speakers is heard in training."


def statements_heard(folds: Sequence[Splits], scored: Split) -> list[str]:
    """Says so where the scored sentences are new to the model as well."""
    scored_ones = {row.statement for splits in folds for row in splits.get(scored)}
    new = all(
        {row.statement for row in splits.get(scored)}.isdisjoint(row.statement for row in splits.train)
        for splits in folds
    )
    return ["Neither are the sentences that they speak."] if new and scored_ones != {""} else []


def where_chosen(protocol: Protocol, folds: Sequence[Splits], scored: Split) -> list[str]:
    if scored is folds[0].selection_split:
        published = f" So it was published: {protocol.reference}." if as_published(protocol.name, folds) else ""
        which = "The checkpoint" if len(folds) == 1 else "The checkpoint of each fold"
        return [f"{which} was chosen on this very list, which makes the number optimistic.{published}"]
    if scored is not Split.test:
        return []
    numbers = sorted({len({row.speaker for row in splits.validation}) for splits in folds})
    which = "The checkpoint" if len(folds) == 1 else "Each checkpoint"
    return [f"{which} was chosen on {' to '.join(map(str, numbers))} other held-out speakers."]


def counted(number: int, noun: str) -> str:
    """A number and its noun.

    >>> counted(1, "speaker"), counted(4, "speaker")
    ('1 speaker', '4 speakers')
    """
    return f"{number} {noun}{'s' * (number != 1)}"
