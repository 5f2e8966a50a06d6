"""What a reader must know to judge a number of a protocol, in sentences computed from the lists themselves."""

from collections.abc import Sequence

from ser.config import Protocol, Side
from ser.data.audit import shared_speakers
from ser.data.protocols import Split
from ser.data.published import as_published

ON_THE_WAY = "These weights were saved in the middle of training: no split has chosen them."


def in_words(protocol: Protocol, lists: Sequence[Split], scored: Side, chosen: bool = True) -> str:
    """Who is tested, who was heard in training, and where the checkpoint was chosen.

    Args:
        protocol: what divided the corpus.
        lists: of each fold that the number is about.
        scored: the list of each fold whose clips the number is about.
        chosen: false for a checkpoint that was saved on the way, and that no split has chosen.
    """
    sentences = [one_fold(protocol, lists[0], scored) if len(lists) == 1 else all_folds(protocol, lists, scored)]
    if scored is Side.train:
        sentences.append("These clips were trained on: the number says how well they were learned, nothing else.")
    else:
        sentences += [speakers_heard(lists, scored), *statements_heard(lists, scored)]
    return " ".join([*sentences, *(where_chosen(protocol, lists, scored) if chosen else [ON_THE_WAY])])


def silence(trim: bool) -> list[str]:
    """Says so where clips are not heard as they were recorded."""
    return ["The silence before and after the speech of each clip is cut off."] if trim else []


def one_fold(protocol: Protocol, lists: Split, scored: Side) -> str:
    rows = lists.side(scored)
    fold = f", fold {protocol.fold}" if protocol.fold is not None else ""
    return (
        f"Protocol {protocol.name}{fold}: {len(lists.train)} training clips, {len(lists.validation)} validation clips, "
        f"{len(lists.test)} test clips; scored on the {scored.value} list "
        f"({len(rows)} clips, {counted(len({row.speaker for row in rows}), 'speaker')})."
    )


def all_folds(protocol: Protocol, lists: Sequence[Split], scored: Side) -> str:
    rows = [row for split in lists for row in split.side(scored)]
    paths, speakers = {row.path for row in rows}, {row.speaker for row in rows}
    often = "each tested once" if len(paths) == len(rows) else "some of them in several folds"
    sizes = [len(split.train) for split in lists]
    trained = " to ".join(map(str, sorted({min(sizes), max(sizes)})))
    return (
        f"Protocol {protocol.name}, {len(lists)} folds: {len(paths)} clips of {counted(len(speakers), 'speaker')}, "
        f"{often}, by a model trained on {trained} other clips."
    )


def speakers_heard(lists: Sequence[Split], scored: Side) -> str:
    everyone = {row.speaker for split in lists for row in split.side(scored)}
    known = set[str]().union(*(shared_speakers(split, scored) for split in lists))
    if known:
        return (
            f"{len(known)} of these {counted(len(everyone), 'speaker')} also speak in the training list: "
            "the number says little about speakers the model has not heard."
        )
    return "None of these speakers is heard in training."


def statements_heard(lists: Sequence[Split], scored: Side) -> list[str]:
    """Says so where the scored sentences are new to the model as well."""
    scored_ones = {row.statement for split in lists for row in split.side(scored)}
    new = all(
        {row.statement for row in split.side(scored)}.isdisjoint(row.statement for row in split.train)
        for split in lists
    )
    return ["Neither are the sentences that they speak."] if new and scored_ones != {""} else []


def where_chosen(protocol: Protocol, lists: Sequence[Split], scored: Side) -> list[str]:
    if scored is lists[0].chosen_on:
        published = f" So it was published: {protocol.reference}." if as_published(protocol.name, lists) else ""
        which = "The checkpoint" if len(lists) == 1 else "The checkpoint of each fold"
        return [f"{which} was chosen on this very list, which makes the number optimistic.{published}"]
    if scored is not Side.test:
        return []
    numbers = sorted({len({row.speaker for row in split.validation}) for split in lists})
    which = "The checkpoint" if len(lists) == 1 else "Each checkpoint"
    return [f"{which} was chosen on {' to '.join(map(str, numbers))} other held-out speakers."]


def counted(number: int, noun: str) -> str:
    """A number and its noun.

    >>> counted(1, "speaker"), counted(4, "speaker")
    ('1 speaker', '4 speakers')
    """
    return f"{number} {noun}{'s' * (number != 1)}"
