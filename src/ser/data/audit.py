"""The audit: counts and oddities of a corpus, and overlaps between its splits."""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

import pyarrow.compute as pc

from ser.config import Audit, Split
from ser.corpora.facts import Format
from ser.corpora.recordings import Scan
from ser.data.arrow_cache import Clips
from ser.data.audio import SHORTEST, SILENCE
from ser.data.duplicates import find_duplicates
from ser.data.manifest import Utterance, natural_key
from ser.data.protocols import Splits
from ser.errors import UserError
from ser.tables import shorten

log = logging.getLogger("ser")

FILE = "audit.json"

Pair = tuple[str, str]
"""Paths of two recordings that are one."""


def audit(
    scan: Scan, utterances: Sequence[Utterance], cache: Clips, splits: Splits, format: Format | None
) -> dict[str, Any]:
    """Count a corpus and list its oddities.

    Returns:
        What audit.json holds, without the stamp of corpus and protocol.
    """
    durations, facts = [row.duration for row in utterances], cache.facts
    groups = find_identical(utterances)
    found = {"identical": groups, "copies": find_near_identical(cache, groups)}
    return {
        "recordings": len(utterances),
        "speakers": len({row.speaker for row in utterances if row.speaker}),
        "without_speaker": sum(not row.speaker for row in utterances),
        "per_emotion": count(row.emotion for row in utterances),
        "per_speaker": count(row.speaker for row in utterances),
        "per_gender": count(row.gender for row in utterances),
        "per_intensity": count(row.intensity for row in utterances),
        "seconds": {
            "total": round(sum(durations), 1),
            "mean": round(sum(durations) / len(durations), 3),
            "shortest": round(min(durations), 3),
            "longest": round(max(durations), 3),
        },
        "sample_rates": count(str(row.sample_rate) for row in utterances),
        "labels": scan.labels,
        "warnings": scan.warnings,
        "left_out": {reason: {"count": len(paths), "files": paths[:20]} for reason, paths in scan.left_out.items()},
        "not_mono": [row.path for row in utterances if row.channels != 1],
        **found,
        "contradicting": find_contradicting(utterances, format),
        "silent": facts["path"].filter(pc.less(facts["peak"], SILENCE)).to_pylist(),
        "clipped": facts["path"].filter(facts["clipped"]).to_pylist(),
        "too_short": facts["path"].filter(pc.less(facts["duration"], SHORTEST)).to_pylist(),
        "split": count_overlap(splits, duplicate_pairs(found)),
    }


def find_identical(utterances: Sequence[Utterance]) -> list[list[str]]:
    """Return groups of recordings with the same samples."""
    groups = defaultdict[str, list[str]](list)
    for row in utterances:
        groups[row.sha256].append(row.path)
    return [group for group in groups.values() if len(group) > 1]


def find_near_identical(cache: Clips, groups: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """Return the duplicates whose samples differ, with the correlation of their waveforms."""
    known = {frozenset(pair) for group in groups for pair in combinations(group, 2)}
    paths, found = cache.facts["path"], list[dict[str, Any]]()
    for copy in find_duplicates([cache.samples(index) for index in range(len(cache))]):
        pair = [paths[copy.first].as_py(), paths[copy.second].as_py()]
        if frozenset(pair) not in known:
            found.append({"files": pair, "correlation": round(copy.correlation, 4)})
    return found


def find_contradicting(utterances: Sequence[Utterance], format: Format | None) -> list[str]:
    """Return the recordings that do not have the sample rate or a length of the corpus they are named for."""
    if format is None:
        return []
    rates = (format.sample_rate, *format.other_rates)
    return [
        row.path
        for row in utterances
        if row.sample_rate not in rates or not format.shortest <= row.duration <= format.longest
    ]


def count_overlap(splits: Splits, duplicates: Sequence[Pair]) -> dict[str, Any]:
    """Return the sizes of the lists, the tested emotions, and the speakers and recordings that stand on both sides."""
    trained_speakers = {row.speaker for row in splits.train}
    return {
        "train": len(splits.train),
        "validation": len(splits.validation),
        "test": len(splits.test),
        "test_per_emotion": count(row.emotion for row in splits.test),
        "speakers_on_both_sides": sorted(
            {row.speaker for row in splits.test + splits.validation} & trained_speakers - {""}, key=natural_key
        ),
        "copies_on_both_sides": [list(pair) for pair, _ in find_leaks(splits, duplicates)],
    }


def find_leaks(splits: Splits, duplicates: Sequence[Pair]) -> list[tuple[Pair, tuple[Split, Split]]]:
    """Return the pairs of duplicates in different splits, with those splits."""
    place = {row.path: split for split in Split for row in splits.get(split)}
    found = []
    for first, second in duplicates:
        if first in place and second in place and place[first] is not place[second]:
            found.append(((first, second), (place[first], place[second])))
    return found


def describe_leaks(splits: Splits, scored: Split, duplicates: Sequence[Pair]) -> list[str]:
    """Return a sentence for each scored clip that has a duplicate in another split."""
    return [
        f"Leak: {first} ({sides[0].value}) and {second} ({sides[1].value}) are the same recording."
        for (first, second), sides in find_leaks(splits, duplicates)
        if scored in sides
    ]


def shared_speakers(splits: Splits, scored: Split) -> set[str]:
    """Return the scored speakers who also occur in the training split."""
    return shared_values(splits, scored, "speaker")


def shared_values(splits: Splits, scored: Split, field: str) -> set[str]:
    """Return the known values of a field that occur both in the scored split and in the training split."""
    return {getattr(row, field) for row in splits.get(scored)} & {getattr(row, field) for row in splits.train} - {""}


def count_unknown_speakers(splits: Splits, scored: Split) -> int:
    """Return the number of recordings of the scored split and the training split without a known speaker."""
    compared = splits.train if scored is Split.train else [*splits.train, *splits.get(scored)]
    return sum(not row.speaker for row in compared)


def are_new_speakers(splits: Splits, scored: Split) -> bool:
    """Return whether no scored speaker occurs in the training split; False where that cannot be told."""
    return not shared_speakers(splits, scored) and not count_unknown_speakers(splits, scored)


def describe_missing_emotions(folds: Sequence[Splits], scored: Split, emotions: Sequence[str]) -> list[str]:
    """Describe the emotions without a clip: their recall counts as 0, so that no model can reach a UAR of 1."""
    present = {row.emotion for splits in folds for row in splits.get(scored)}
    missing = [emotion for emotion in emotions if emotion not in present]
    if not missing:
        return []
    highest = f"{len(emotions) - len(missing)}/{len(emotions)}"
    lacks = f"The {scored.value} split has no clip of {', '.join(missing)}"
    return [f"{lacks}: its unweighted average recall is at most {highest}."]


def check_leaks(folds: Sequence[Splits], duplicates: Sequence[Pair], audit: Audit) -> None:
    """Warn of speakers and duplicates that training shares with another split of its fold, or refuse the splits.

    Raises:
        UserError: `audit` is strict, and speakers or copies of recordings are in the training split and in another.
    """
    found = [count_overlap(splits, duplicates) for splits in folds]
    pairs = list(dict.fromkeys(" = ".join(pair) for one in found for pair in one["copies_on_both_sides"]))
    speakers = sorted({name for one in found for name in one["speakers_on_both_sides"]}, key=natural_key)
    if audit is Audit.strict and (pairs or speakers):
        named = [f"speakers {', '.join(speakers)}"] * bool(speakers)
        raise UserError(f"on_leak=strict: on both sides of the split: {'; '.join(named + shorten(pairs))}")
    if pairs:
        log.warning("warning: on both sides of the split: %s", "; ".join(shorten(pairs)))


def describe_oddities(report: dict[str, Any]) -> list[str]:
    """Return one line for each oddity that a user should look at; audit.json has every name."""
    texts = {
        "silent": "silent (nothing above -60 dB of full scale)",
        "clipped": "clipped",
        "too_short": f"shorter than {SHORTEST * 1000:.0f} ms",
        "contradicting": "not of the rate or length of the corpus whose names they bear",
    }
    lines = [f"{len(report[key])} {text}: {', '.join(shorten(report[key]))}" for key, text in texts.items()]
    pairs = [" = ".join(group) for group in report["identical"]]
    alike = [f"{' ~ '.join(copy['files'])} ({copy['correlation']:.3f})" for copy in report["copies"]]
    lines += [str(warning) for warning in report.get("warnings", ())]
    lines.append(f"{len(pairs)} identical: {'; '.join(shorten(pairs))}")
    lines.append(f"{len(alike)} the same recording, changed: {'; '.join(shorten(alike))}")
    return [line for line in lines if not line.startswith("0 ")]


def duplicate_pairs(report: dict[str, Any]) -> list[Pair]:
    """Return all pairs of duplicates, identical or changed, that an audit found."""
    same = [pair for group in report["identical"] for pair in combinations(group, 2)]
    return [(first, second) for first, second in [*same, *(copy["files"] for copy in report["copies"])]]


def log_warnings(report: dict[str, Any]) -> None:
    for line in describe_oddities(report):
        log.warning("warning: %s", line)


def count(values: Iterable[str]) -> dict[str, int]:
    numbers = Counter(values)
    return {value: numbers[value] for value in sorted(numbers, key=natural_key)}
