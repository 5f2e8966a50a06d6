"""Compare runs: a block for each protocol, ranked by UAR, with paired tests of its runs."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

from ser.comparison.selection import choose_best, validation_recall
from ser.config.choices import find_augmentation
from ser.evaluation.significance import adjust_holm, mcnemar_test, permutation_test
from ser.runs.finished import Run
from ser.runs.settings import decisive_settings


@dataclass(frozen=True)
class Pair:
    """The paired tests of two runs that were scored on the same clips."""

    first: Run
    second: Run
    difference: float
    """Accuracy of the first minus that of the second."""
    clips: float | None
    """p of McNemar's test; None where several seeds are pooled."""
    speakers: float
    """p of the permutation test over speakers."""
    adjusted: float
    """The p of the independent units of the protocol, speakers or clips, after Holm over the pairs of the block."""


@dataclass(frozen=True)
class Repeated:
    """Runs that differ only in the seed."""

    runs: list[Run]
    accuracy: tuple[float, float]
    """Mean and standard deviation."""
    unweighted_average_recall: tuple[float, float]


@dataclass(frozen=True)
class Block:
    """The runs of one protocol, highest tested UAR first: same corpus, same splits."""

    title: str
    description: str
    runs: list[Run]
    repeated: list[Repeated]
    pairs: list[Pair]
    validation: list[float | None]
    """UAR of each run on its validation split; None where there is none."""

    @property
    def chosen(self) -> Run | None:
        """The best run by its validation split, which alone may choose among settings."""
        place = choose_best(self.validation)
        return None if place is None else self.runs[place]

    @property
    def names(self) -> dict[Path, str]:
        """The name of each run, by its folder."""
        return name_runs(self.runs)


def group_runs(runs: Sequence[Run]) -> list[Block]:
    """Group runs into blocks; metrics of different blocks are not comparable."""
    grouped = defaultdict[str, list[Run]](list)
    for run in runs:
        grouped[protocol_key(run)].append(run)
    return distinguish([build_block(members) for members in grouped.values()])


def distinguish(blocks: Sequence[Block]) -> list[Block]:
    """Return the blocks with titles that tell them apart: by the tested corpora, by the scored split, or by a hash."""
    titled = list(blocks)
    for describe in (describe_tested, describe_scored, describe_splits):
        descriptions = defaultdict[str, set[str]](set)
        for block in titled:
            descriptions[block.title].add(describe(block.runs[0]))
        titled = [
            replace(block, title=f"{block.title}, {describe(block.runs[0])}")
            if len(descriptions[block.title]) > 1
            else block
            for block in titled
        ]
    return titled


def describe_tested(run: Run) -> str:
    corpora = sorted({row.corpus or run.report["corpus"] for row in run.predictions.utterances})
    return f"tested on {', '.join(corpora)}"


def describe_scored(run: Run) -> str:
    return f"{run.report['scored_on']} split"


def describe_splits(run: Run) -> str:
    return f"splits {hashlib.sha256(protocol_key(run).encode()).hexdigest()[:8]}"


def protocol_key(run: Run) -> str:
    """Return what two runs must share to be compared: corpus, protocol and all splits."""
    protocol = run.report["protocol"]
    folds = protocol.get("folds", [protocol])
    return json.dumps([run.report["corpus"], run.report["scored_on"], protocol["name"], folds], sort_keys=True)


def build_block(runs: Sequence[Run]) -> Block:
    ranked = sorted(runs, key=lambda run: -run.report["unweighted_average_recall"])
    report = ranked[0].report
    folds = report["protocol"].get("folds")
    fold = f", fold {report['protocol']['fold']}" if report["protocol"]["fold"] is not None else ""
    return Block(
        title=f"{report['corpus']}, protocol {report['protocol']['name']}{f', {len(folds)} folds' if folds else fold}",
        description=" ".join([report["in_words"], *report["leaks"]]),
        runs=ranked,
        repeated=find_repeated(ranked),
        pairs=compare_pairs(ranked),
        validation=[validation_recall(run) for run in ranked],
    )


def name_runs(runs: Sequence[Run]) -> dict[Path, str]:
    """Name each run by model and seed, with the settings in which runs of that model differ.

    Runs with the same seed and settings are distinguished by their folders.
    """
    alike = defaultdict[str, list[Run]](list)
    for run in runs:
        alike[run.report["model"]].append(run)
    named = {}
    for model, group in alike.items():
        settings = name_augmentations([decisive_settings(run.settings) for run in group])
        keys = sorted({key for one in settings for key in one} - {"seed"})
        differing = [key for key in keys if len({json.dumps(one.get(key)) for one in settings}) > 1]
        for run, one in zip(group, settings, strict=True):
            seed = str(run.report["seed"]).strip("[]")
            named[run.folder] = ", ".join([f"{model} (seed {seed}", *(f"{key}={one.get(key)}" for key in differing)])
    counts = Counter(named.values())
    return {folder: f"{name}{f', {folder}' if counts[name] > 1 else ''})" for folder, name in named.items()}


def name_augmentations(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Replace the settings `augment.*` of runs by `augment=light` and the like, if each run has such a choice."""
    prefix = "augment."
    chosen = [
        find_augmentation({key.removeprefix(prefix): value for key, value in one.items() if key.startswith(prefix)})
        for one in runs
    ]
    if None in chosen:
        return runs
    return [
        {"augment": name, **{key: value for key, value in one.items() if not key.startswith(prefix)}}
        for name, one in zip(chosen, runs, strict=True)
    ]


def find_repeated(runs: Sequence[Run]) -> list[Repeated]:
    """Group the runs that differ only in the seed, with mean and standard deviation."""
    alike = defaultdict[str, list[Run]](list)
    for run in runs:
        if isinstance(run.report["seed"], int):
            alike[json.dumps({**decisive_settings(run.settings), "seed": None}, sort_keys=True)].append(run)
    return [
        Repeated(group, mean_std(group, "accuracy"), mean_std(group, "unweighted_average_recall"))
        for group in alike.values()
        if len({run.report["seed"] for run in group}) > 1
    ]


def mean_std(runs: Sequence[Run], metric: str) -> tuple[float, float]:
    values = [run.report[metric] for run in runs]
    return mean(values), stdev(values)


def compare_pairs(runs: Sequence[Run]) -> list[Pair]:
    """Test every two runs of a block, the better one first."""
    tested = [(first, second, *paired_tests(first, second)) for first, second in combinations(runs, 2)]
    honest = [by_speaker if is_speaker_independent(first) or p is None else p for first, _, _, p, by_speaker in tested]
    return [Pair(*row, adjusted) for row, adjusted in zip(tested, adjust_holm(honest), strict=True)]


def is_speaker_independent(run: Run) -> bool:
    return bool(run.report["speakers_are_new"])


def paired_tests(first: Run, second: Run) -> tuple[float, float | None, float]:
    """Compute the difference in accuracy, p by clips and p by speakers."""
    a, b = share_right(first), share_right(second)
    of_a, of_b = np.array([a[key] for key in a]), np.array([b[key] for key in a])
    whole = all(value in (0.0, 1.0) for value in (*of_a, *of_b))
    return (
        float((of_a - of_b).mean()),
        mcnemar_test(of_a == 1, of_b == 1) if whole else None,
        permutation_test(of_a.tolist(), of_b.tolist(), [speaker for speaker, _ in a]),
    )


def share_right(run: Run) -> dict[tuple[str, str], float]:
    """Compute the share of right predictions of each clip, over the seeds."""
    answers = defaultdict[tuple[str, str], list[bool]](list)
    for row, prediction in zip(run.predictions.utterances, run.predictions.labels, strict=True):
        answers[row.key].append(row.emotion == prediction)
    return {key: mean(given) for key, given in answers.items()}
