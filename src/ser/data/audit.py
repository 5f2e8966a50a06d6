"""The audit: counts and oddities of a corpus, and overlaps between its splits."""

import logging
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc

from ser.config import Audit, Split
from ser.corpora.facts import Format
from ser.corpora.recordings import Scan
from ser.data.arrow_cache import Clips
from ser.data.audio import SHORTEST, SILENCE
from ser.data.copies import Pair, find_identical, find_leaks, find_near_identical, near_pairs
from ser.data.duplicates import MOST_COPIES
from ser.data.manifest import Utterance, natural_key
from ser.data.protocols import Splits
from ser.errors import UserError
from ser.rows import Rows
from ser.tables import shorten

log = logging.getLogger("ser")

FILE = "audit.json"


def audit(
    scan: Scan, utterances: Sequence[Utterance], cache: Clips, splits: Splits, format: Format | None
) -> dict[str, Any]:
    """Count a corpus and list its oddities.

    Returns:
        What audit.json holds, without the stamp of corpus and protocol.
    """
    utterances = Rows.of(Utterance, utterances)
    durations = utterances.numbers("duration")
    facts = cache.select("path", "peak", "clipped", "duration")
    rates = np.unique(utterances.numbers("sample_rate"), return_counts=True)
    found = find_identical(utterances) | find_near_identical(cache, utterances)
    return {
        "recordings": len(utterances),
        "speakers": len({*utterances.distinct("speaker")} - {""}),
        "without_speaker": count_unknown(utterances),
        "per_emotion": count(utterances, "emotion"),
        "per_speaker": count(utterances, "speaker"),
        "per_gender": count(utterances, "gender"),
        "per_intensity": count(utterances, "intensity"),
        "seconds": {
            "total": round(math.fsum(durations), 1),
            "mean": round(math.fsum(durations) / len(durations), 3),
            "shortest": round(float(durations.min()), 3),
            "longest": round(float(durations.max()), 3),
        },
        "sample_rates": {str(rate): int(number) for rate, number in zip(*rates, strict=True)},
        "labels": scan.labels,
        "warnings": scan.warnings,
        "left_out": {reason: {"count": len(paths), "files": paths[:20]} for reason, paths in scan.left_out.items()},
        "not_mono": paths_of(utterances.where(utterances.numbers("channels") != 1)),
        **found,
        "contradicting": find_contradicting(utterances, format),
        "silent": facts["path"].filter(pc.less(facts["peak"], SILENCE)).to_pylist(),
        "clipped": facts["path"].filter(facts["clipped"]).to_pylist(),
        "too_short": facts["path"].filter(pc.less(facts["duration"], SHORTEST)).to_pylist(),
        "split": count_overlap(splits, near_pairs(found, utterances)),
    }


def find_contradicting(utterances: Rows[Utterance], format: Format | None) -> list[str]:
    """Return the recordings that do not have the sample rate or a length of the corpus they are named for."""
    if format is None:
        return []
    seconds, rates = utterances.numbers("duration"), [format.sample_rate, *format.other_rates]
    fits = np.isin(utterances.numbers("sample_rate"), rates)
    return paths_of(utterances.where(~(fits & (format.shortest <= seconds) & (seconds <= format.longest))))


def count_overlap(splits: Splits, duplicates: Sequence[Pair]) -> dict[str, Any]:
    """Return the sizes of the lists, the tested emotions, and the speakers and recordings that stand on both sides."""
    leaks, number = find_leaks(splits, duplicates)
    return {
        "train": len(splits.train),
        "validation": len(splits.validation),
        "test": len(splits.test),
        "test_per_emotion": count(splits.test, "emotion"),
        "speakers_on_both_sides": sorted(
            shared_speakers(splits, Split.test) | shared_speakers(splits, Split.validation), key=natural_key
        ),
        "copies_on_both_sides": [list(leak.paths) for leak in leaks],
        "copies_on_both_sides_in_all": number,
    }


def describe_leaks(splits: Splits, scored: Split, duplicates: Sequence[Pair]) -> list[str]:
    """Return a sentence for each scored clip that has a duplicate in another split, and one for those not listed."""
    leaks, number = find_leaks(splits, duplicates, scored)
    sentences = [
        f"Leak: {leak.paths[0]} ({leak.splits[0].value}) and {leak.paths[1]} ({leak.splits[1].value}) are the same "
        "recording."
        for leak in leaks
    ]
    return sentences + [f"Leak: {number - len(leaks)} more pairs are the same recording."] * (number > len(leaks))


def shared_speakers(splits: Splits, scored: Split) -> set[str]:
    """Return the scored speakers who also occur in the training split."""
    return shared_values(splits, scored, "speaker")


def shared_values(splits: Splits, scored: Split, field: str) -> set[str]:
    """Return the known values of a field that occur both in the scored split and in the training split."""
    return {*splits.get(scored).distinct(field)} & {*splits.train.distinct(field)} - {""}


def list_values(folds: Sequence[Splits], split: Split, field: str) -> set[str]:
    """Return the values of a field of text that occur in a split of any fold."""
    return set[str]().union(*(splits.get(split).distinct(field) for splits in folds))


def count_unknown(utterances: Rows[Utterance]) -> int:
    """Return the number of recordings without a known speaker."""
    return utterances.counts("speaker").get("", 0)


def count_unknown_speakers(splits: Splits, scored: Split) -> int:
    """Return the number of recordings of the scored split and the training split without a known speaker."""
    return sum(count_unknown(splits.get(split)) for split in {Split.train, scored})


def are_new_speakers(splits: Splits, scored: Split) -> bool:
    """Return whether no scored speaker occurs in the training split; False where that cannot be told."""
    return not shared_speakers(splits, scored) and not count_unknown_speakers(splits, scored)


def describe_missing_emotions(folds: Sequence[Splits], scored: Split, emotions: Sequence[str]) -> list[str]:
    """Describe the emotions without a clip: their recall counts as 0, so that no model can reach a UAR of 1."""
    present = list_values(folds, scored, "emotion")
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
    number = max((one["copies_on_both_sides_in_all"] for one in found), default=0)
    named_pairs = shorten(pairs)
    if number > len(pairs):  # not all of them are listed
        named_pairs[-1] = f"and at least {number - len(named_pairs) + 1} more"
    speakers = sorted({name for one in found for name in one["speakers_on_both_sides"]}, key=natural_key)
    if audit is Audit.strict and (pairs or speakers):
        named = [f"speakers {', '.join(speakers)}"] * bool(speakers)
        raise UserError(f"on_leak=strict: on both sides of the split: {'; '.join(named + named_pairs)}")
    if pairs:
        log.warning("warning: on both sides of the split: %s", "; ".join(named_pairs))


def describe_oddities(report: dict[str, Any]) -> list[str]:
    """Return one line for each oddity that a user should look at; audit.json has every name."""
    texts = {
        "silent": "silent (nothing above -60 dB of full scale)",
        "clipped": "clipped",
        "too_short": f"shorter than {SHORTEST * 1000:.0f} ms",
        "contradicting": "not of the rate or length of the corpus whose names they bear",
    }
    lines = [f"{len(report[key])} {text}: {', '.join(shorten(report[key]))}" for key, text in texts.items()]
    pairs = [" = ".join(shorten(group)) for group in report["identical"]]
    alike = [f"{' ~ '.join(copy['files'])} ({copy['correlation']:.3f})" for copy in report["copies"]]
    lines += [str(warning) for warning in report.get("warnings", ())]
    groups = report.get("identical_in_all", {}).get("groups", len(pairs))
    lines.append(f"{groups} identical: {'; '.join(shorten(pairs))}")
    lines.append(f"{len(alike)} the same recording, changed: {'; '.join(shorten(alike))}")
    many = report.get("copies_in_part", ())
    lines.append(f"{len(many)} with {MOST_COPIES} copies, more were not looked for: {', '.join(shorten(many))}")
    return [line for line in lines if not line.startswith("0 ")]


def log_warnings(report: dict[str, Any]) -> None:
    for line in describe_oddities(report):
        log.warning("warning: %s", line)


def count(utterances: Rows[Utterance], field: str) -> dict[str, int]:
    """Return the number of recordings of each value of a field of text, in natural order."""
    numbers = utterances.counts(field)
    return {value: numbers[value] for value in sorted(numbers, key=natural_key)}


def paths_of(utterances: Rows[Utterance]) -> list[str]:
    paths: list[str] = utterances.texts("path").to_pylist()
    return paths
