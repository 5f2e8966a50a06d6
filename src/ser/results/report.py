"""A scored list, what was measured on it, and its plain files: predictions, tables, figures."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from sklearn.metrics import classification_report

from ser.files import write_csv, write_json, write_text
from ser.results import figures, metrics
from ser.results.breakdown import Group, breakdown
from ser.results.breakdown import write as write_breakdown
from ser.results.intervals import Interval, intervals
from ser.results.metrics import Bin
from ser.results.spread import Spread
from ser.runs.finished import ORIGIN, Scored


@dataclass(frozen=True)
class Provenance:
    """Where a number comes from; it stands beside each."""

    corpus: str
    description: str
    synthetic: bool
    protocol: dict[str, Any]
    """`ser.data.protocols.identity`; of several folds pooled, with the list `folds` of theirs."""
    scored_on: str
    in_words: str
    leaks: list[str]
    """What the audit found on both sides, in sentences."""
    speakers_are_new: bool
    """Whether no tested speaker was heard in training; then speakers are resampled for the intervals, else clips."""
    model: str
    seed: int | list[int]
    step: int | None
    """Optimizer steps behind the checkpoint; None where several are pooled."""

    @classmethod
    def of(cls, report: dict[str, Any]) -> "Provenance":
        """Read it back from classification_report.json."""
        return cls(**{field.name: report[field.name] for field in fields(cls)})

    @property
    def run_title(self) -> str:
        """The run in one line."""
        folds = self.protocol.get("folds")
        fold = f" fold {self.protocol['fold']}" if self.protocol["fold"] is not None else ""
        fold = f", {len(folds)} folds" if folds else fold
        corpus = f"{self.corpus.upper()} (no human speech)" if self.synthetic else self.corpus
        seeds = self.seed if isinstance(self.seed, list) else [self.seed]
        seed = f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
        return f"{self.model} on {corpus}, protocol {self.protocol['name']}{fold}, {seed}"

    @property
    def title(self) -> str:
        """The number in one line."""
        step = f", step {self.step}" if self.step is not None else ""
        return f"{self.run_title}{step}, {self.scored_on} list"

    @property
    def resampled(self) -> str:
        """What the intervals resample."""
        return "speakers" if self.speakers_are_new else "clips"


@dataclass(frozen=True)
class Report:
    """What was measured on a scored list."""

    scored: Scored
    provenance: Provenance
    numbers: dict[str, float]
    """`metrics.SUMMARY` and `metrics.OF_PROBABILITIES`, by name."""
    intervals: dict[str, Interval]
    """95 %, of those of `metrics.SUMMARY`."""
    units: int
    """How many speakers or clips the intervals resample."""
    counts: list[list[int]]
    """Confusion counts `(truth, prediction)`."""
    groups: dict[str, list[Group]]
    """By speaker, gender, intensity and statement."""
    bins: list[Bin]
    """Confidence against accuracy."""
    spread: Spread | None
    """Over folds and seeds, where several are pooled."""


def measured(scored: Scored, provenance: Provenance, spread: Spread | None = None) -> Report:
    """Measure a list."""
    truth, prediction, emotions = scored.truth, scored.prediction, list(scored.emotions)
    numbers = metrics.summary(truth, prediction, emotions)
    for name, metric in metrics.OF_PROBABILITIES.items():
        numbers[name] = metric(truth, scored.probabilities, emotions)
    units = [row.speaker if provenance.speakers_are_new else row.path for row in scored.utterances]
    return Report(
        scored=scored,
        provenance=provenance,
        numbers=numbers,
        intervals=intervals(truth, prediction, emotions, units),
        units=len(set(units)),
        counts=metrics.confusion_matrix(truth, prediction, emotions),
        groups=breakdown(scored.utterances, prediction),
        bins=metrics.reliability(truth, scored.probabilities, emotions),
        spread=spread,
    )


def write(folder: Path, report: Report) -> None:
    """Write the plain files and the figures into `folder`."""
    write_tables(folder, report)
    write_figures(folder, report)


def write_tables(folder: Path, report: Report) -> None:
    """Write the predictions, the classification report as text and as JSON, and the tables as CSV."""
    scored, title = report.scored, report.provenance.title
    truth, prediction, emotions = scored.truth, scored.prediction, list(scored.emotions)
    write_predictions(folder / "predictions.csv", scored)
    write_csv(
        folder / "confusion_matrix.csv",
        [f"truth \\ prediction ({title})", *emotions],
        ([emotion, *row] for emotion, row in zip(emotions, report.counts, strict=True)),
    )
    write_breakdown(
        folder / "breakdown.csv", report.groups, report.provenance.corpus, report.provenance.protocol["name"]
    )
    write_text(folder / "classification_report.txt", report_text(report))
    per_emotion = classification_report(truth, prediction, labels=emotions, zero_division=0, output_dict=True)
    write_json(
        folder / "classification_report.json",
        {
            **vars(report.provenance),
            "clips": len(truth),
            **report.numbers,
            "intervals": {name: list(interval) for name, interval in report.intervals.items()},
            "resampled": report.provenance.resampled,
            "spread": asdict(report.spread) if report.spread else None,
            "classification_report": per_emotion,
        },
    )


def write_figures(folder: Path, report: Report) -> None:
    """Draw confusion matrix, speakers and reliability, each as PNG and as PDF."""
    title = report.provenance.title
    confusions = figures.confusion_figure(report.counts, report.scored.emotions, title)
    figures.save(confusions, folder / "confusion_matrix")
    figures.save(figures.speakers_figure(report.groups["speaker"], title), folder / "speakers")
    figures.save(figures.reliability_figure(report.bins, title), folder / "reliability")


def report_text(report: Report) -> str:
    """The paper's report, and under it what the numbers are worth."""
    scored, provenance = report.scored, report.provenance
    table = classification_report(scored.truth, scored.prediction, labels=list(scored.emotions), zero_division=0)
    lines = [table, *numbers_in_words(report), ""]
    if report.spread:
        lines += [*report.spread.in_words(), ""]
    lines += [provenance.title, provenance.description, provenance.in_words, *provenance.leaks, ""]
    return "\n".join(lines)


def numbers_in_words(report: Report) -> list[str]:
    """Each number of the summary with its interval, then those of the probabilities."""
    lines = []
    for name, (low, high) in report.intervals.items():
        value = report.numbers[name]
        lines.append(f"{name.replace('_', ' ')} {value:.3f} (95 % interval {low:.3f} to {high:.3f})")
    lines.append(", ".join(f"{name.replace('_', ' ')} {report.numbers[name]:.3f}" for name in metrics.OF_PROBABILITIES))
    lines.append(f"intervals: {report.units} {report.provenance.resampled} resampled")
    return lines


def write_predictions(path: Path, scored: Scored) -> None:
    """Write a row for each answer, sorted by path, with one probability column for each emotion.

    Where several runs are pooled, seed and fold say which of them gave an answer.
    """
    columns_of_origin = ORIGIN if scored.origins is not None else ()
    origins: Sequence[tuple[int | None, ...]] = scored.origins or [()] * len(scored.utterances)
    columns = zip(scored.utterances, scored.prediction, origins, scored.probabilities, strict=True)
    rows = [
        [utterance.path, utterance.emotion, prediction, *origin, *(f"{share:.6f}" for share in shares)]
        for utterance, prediction, origin, shares in sorted(columns, key=lambda row: row[0].path)
    ]
    write_csv(path, ["path", "truth", "prediction", *columns_of_origin, *scored.emotions], rows)
