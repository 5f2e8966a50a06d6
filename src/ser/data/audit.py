"""The audit: what is in a corpus, what is odd about it, and what its split shares between the sides."""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from ser.corpora.recordings import Scan
from ser.data.audio import SHORTEST, SILENCE
from ser.data.cache import Facts
from ser.data.manifest import Utterance
from ser.data.protocols import Split

log = logging.getLogger("ser")

FILE = "audit.json"


def audit(scan: Scan, utterances: Sequence[Utterance], facts: Sequence[Facts], lists: Split) -> dict[str, Any]:
    """Count a corpus and list its oddities.

    Returns:
        What audit.json holds, without the stamp of corpus and protocol.
    """
    durations = [row.duration for row in utterances]
    return {
        "recordings": len(utterances),
        "speakers": len({row.speaker for row in utterances}),
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
        "left_out": {reason: {"count": len(paths), "files": paths[:20]} for reason, paths in scan.left_out.items()},
        "not_mono": [row.path for row in utterances if row.channels != 1],
        "identical": identical(utterances),
        "silent": [row["path"] for row in facts if row["peak"] < SILENCE],
        "clipped": [row["path"] for row in facts if row["clipped"]],
        "too_short": [row["path"] for row in facts if row["duration"] < SHORTEST],
        "split": shared(lists),
    }


def identical(utterances: Sequence[Utterance]) -> list[list[str]]:
    """Groups of recordings with the same samples."""
    groups = defaultdict[str, list[str]](list)
    for row in utterances:
        groups[row.sha256].append(row.path)
    return [group for group in groups.values() if len(group) > 1]


def shared(lists: Split) -> dict[str, Any]:
    """Sizes of the lists, the tested emotions, and the speakers and samples that stand on both sides."""
    scored = lists.test + lists.validation
    trained_speakers = {row.speaker for row in lists.train}
    trained_samples = {row.sha256 for row in lists.train}
    return {
        "train": len(lists.train),
        "validation": len(lists.validation),
        "test": len(lists.test),
        "test_per_emotion": count(row.emotion for row in lists.test),
        "speakers_on_both_sides": sorted({row.speaker for row in scored} & trained_speakers, key=natural),
        "identical_on_both_sides": sorted(row.path for row in scored if row.sha256 in trained_samples),
    }


def warnings(report: dict[str, Any]) -> list[str]:
    """One line for each oddity that a user should look at, naming every file."""
    texts = {
        "silent": "silent (nothing above -60 dB of full scale)",
        "clipped": "clipped",
        "too_short": f"shorter than {SHORTEST * 1000:.0f} ms",
    }
    lines = [f"{len(report[key])} {text}: {', '.join(report[key])}" for key, text in texts.items() if report[key]]
    pairs = [" = ".join(group) for group in report["identical"]]
    return lines + ([f"{len(pairs)} identical: {'; '.join(pairs)}"] if pairs else [])


def warn(report: dict[str, Any]) -> None:
    for line in warnings(report):
        log.warning("warning: %s", line)


def count(values: Iterable[str]) -> dict[str, int]:
    numbers = Counter(values)
    return {value: numbers[value] for value in sorted(numbers, key=natural)}


def natural(value: str) -> str:
    """Sort key that puts 2 before 10."""
    return value.zfill(8) if value.isdigit() else value
