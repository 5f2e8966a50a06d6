"""Summary of a checkpoint on the page: the scores of its run and their limits, in the words of its report."""

from dataclasses import dataclass
from typing import Any

from ser.corpora import recorded_facts
from ser.evaluation.intervals import ConfidenceInterval
from ser.inference.member import Member
from ser.inference.predictor import describe
from ser.reports.formats import percent, reach
from ser.reports.provenance import Provenance
from ser.runs.folder import REPORT
from ser.runs.reading import is_about, read_json


@dataclass(frozen=True)
class ModelSummary:
    """The text of the page about one checkpoint."""

    title: str
    score: str | None
    """None: no score is known."""
    warnings: list[str]
    sentences: list[str]


def summarise(member: Member) -> ModelSummary:
    """Summarise the report in the checkpoint's run folder, or else the stamp of the checkpoint."""
    if not member.stamp:
        return ModelSummary(describe(member), None, [], [])
    learned = [f"It was trained on {recorded_facts(member.stamp).voices}."]
    report = report_of(member)
    if report is None:
        unknown = "The report of its run is not beside it: how well it does is not known here."
        return ModelSummary(describe(member), None, [], [*learned, unknown])
    source = Provenance.from_report(report)
    return ModelSummary(
        source.title,
        score(report, len(member.labels)),
        [*warnings(source), *source.leaks],
        [*learned, source.protocol_text],
    )


def warnings(source: Provenance) -> list[str]:
    """Return the reasons why the score overstates the accuracy for new speakers."""
    found = []
    if source.synthetic:
        found.append(f"Not human speech. {source.description}. The score shows that the chain works, and nothing else.")
    if not source.speaker_independent:
        found.append(
            "The speakers of the test were also in the training data: expect less of a voice that is new to it."
            if source.speakers_known
            else "The speakers of its corpus are not known: expect less of a voice that is new to it."
        )
    return found


def report_of(member: Member) -> dict[str, Any] | None:
    """Return the report of the run that wrote this checkpoint; None where it is not beside the checkpoint."""
    run = member.folder.resolve().parent
    if not (run / REPORT).is_file():
        return None
    report = read_json(run, REPORT)
    return report if is_about(report, member.stamp) else None


def score(report: dict[str, Any], emotions: int) -> str:
    """Describe the accuracy and the unweighted average recall on the scored split."""
    accuracy, recall = (
        f"{percent(report[name])} (95\u00a0% interval {reach(ConfidenceInterval(*report['intervals'][name]))})"
        for name in ("accuracy", "unweighted_average_recall")
    )
    return (
        f"On the {report['scored_on']} split of {report['clips']} recordings it was right in {accuracy}. With every "
        f"emotion counting the same (unweighted average recall): {recall}; guessing would give {percent(1 / emotions)}."
    )
