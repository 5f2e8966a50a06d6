"""ser prepare-data --root RAVDESS"""  # noqa: D415

from pathlib import Path
from typing import Any

from ser import config
from ser.console import start_logging
from ser.corpora import download_archives
from ser.data.audit import log_warnings
from ser.data.preparation import prepare
from ser.errors import Interrupted, UserError
from ser.files import printable
from ser.reports.protocol_text import describe_labels
from ser.wording import counted


def prepare_data(cfg: config.PrepareData) -> None:
    """List, check, divide and cache the recordings of a corpus."""
    start_logging()
    if cfg.download and cfg.root is not None:
        raise UserError(f"download=true and root={cfg.root} contradict each other: give one of them")
    root = str(download_archives(cfg.corpus, Path(cfg.data_dir))) if cfg.download else cfg.root
    try:
        report = prepare(cfg.corpus, cfg.protocol, root, cfg.data_dir, cfg.on_leak, cfg.engine)
    except KeyboardInterrupt as error:
        raise Interrupted(
            f"interrupted: nothing half-written is in {cfg.data_dir}; the same command goes on from its finished shards"
        ) from error
    log_warnings(report)
    print(summary(report, cfg))


def summary(report: dict[str, Any], cfg: config.PrepareData) -> str:
    """Describe the audit for people."""
    sides, seconds = report["split"], report["seconds"]
    lines = [
        f"{report['description']}",
        f"{counted(report['recordings'], 'clips')}, {describe_speakers(report)}, {seconds['total'] / 60:.0f} minutes "
        f"({seconds['shortest']:.2f}-{seconds['longest']:.2f} s, mean {seconds['mean']:.2f} s)",
        "per emotion: " + ", ".join(f"{name} {number}" for name, number in report["per_emotion"].items()),
    ]
    lines += [f"left out: {counted(entry['count'], reason)}" for reason, entry in sorted(report["left_out"].items())]
    lines += describe_labels(report["labels"])
    if report["not_mono"]:
        lines.append(f"{len(report['not_mono'])} not mono, averaged: {', '.join(report['not_mono'])}")
    fold = f" fold {report['protocol']['fold']}" if report["protocol"]["fold"] is not None else ""
    lines += [
        f"protocol {cfg.protocol.name}{fold}: {sides['train']} train, {sides['validation']} validation, "
        f"{sides['test']} test clips; {describe_shared_speakers(report)} and "
        f"{counted(sides['copies_on_both_sides_in_all'], 'copied recordings')} on both sides",
        f"{report['decoded']} decoded, {report['recordings'] - report['decoded']} unchanged; "
        f"written to {printable(cfg.data_dir)}",
    ]
    return "\n".join(lines)


def describe_speakers(report: dict[str, Any]) -> str:
    """Return the number of speakers in words."""
    unknown = report["without_speaker"]
    if unknown == report["recordings"]:
        return "speakers unknown"
    return counted(report["speakers"], "speakers") + (
        f" ({counted(unknown, 'clips')} of unknown ones)" if unknown else ""
    )


def describe_shared_speakers(report: dict[str, Any]) -> str:
    """Say how many speakers are on both sides of the split, as far as that is known."""
    number = len(report["split"]["speakers_on_both_sides"])
    return counted(number, "known speakers" if report["without_speaker"] else "speakers")
