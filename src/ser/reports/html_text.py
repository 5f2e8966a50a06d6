"""The sentences and the number formats of the page: what its pictures show, for those who do not see them."""

from collections.abc import Sequence
from statistics import mean

from ser.evaluation.intervals import RESAMPLES, Interval
from ser.evaluation.metrics import Bin
from ser.evaluation.subgroups import Group
from ser.reports.report import Report

NAMES = {
    "unweighted_average_recall": "Unweighted average recall",
    "accuracy": "Accuracy",
    "macro_f1": "Macro F1",
    "weighted_f1": "Weighted F1",
    "cross_entropy": "Cross-entropy",
    "expected_calibration_error": "Expected calibration error",
    "brier_score": "Brier score",
}


def percent(share: float) -> str:
    r"""A share with one decimal and a space that does not break.

    >>> percent(0.7194)
    '71.9\xa0%'
    """
    return f"{100 * share:.1f}\u00a0%"


def reach(interval: Interval) -> str:
    r"""An interval.

    >>> reach(Interval(0.662, 0.771))
    '66.2 to 77.1\xa0%'
    """
    return f"{100 * interval.low:.1f} to {percent(interval.high)}"


def duration(seconds: float) -> str:
    """Seconds as a person reads them.

    >>> duration(7.31), duration(994), duration(4000)
    ('7.3 s', '16 min 34 s', '1 h 7 min')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min"


def resampling(report: Report) -> str:
    """What the intervals resample, how many of them, and so what they speak of."""
    if not report.provenance.speakers_are_new:
        return (
            f"The intervals resample the {report.units} tested clips {RESAMPLES} times: they say how far the numbers "
            "may move with further clips of the same speakers, and nothing about other speakers."
        )
    if report.units == 1:
        return "Only one speaker is tested, which says nothing about others: the intervals leave everything open."
    return (
        f"The intervals resample the {report.units} tested speakers as wholes, {RESAMPLES} times: they say how far the "
        "numbers may move with other speakers of this kind."
    )


def of_confusion(counts: Sequence[Sequence[int]], labels: Sequence[str]) -> str:
    """The best and the worst emotion, and the most frequent mistake."""
    recalls = {
        label: row[place] / sum(row) for place, (label, row) in enumerate(zip(labels, counts, strict=True)) if sum(row)
    }
    best, worst = max(recalls, key=lambda label: recalls[label]), min(recalls, key=lambda label: recalls[label])
    words = (
        f"Confusion matrix of {sum(map(sum, counts))} answers. Found best: {best}, {percent(recalls[best])}; "
        f"found least: {worst}, {percent(recalls[worst])}."
    )
    wrong = [
        (count, labels[truth], labels[prediction])
        for truth, row in enumerate(counts)
        for prediction, count in enumerate(row)
        if truth != prediction and count
    ]
    if not wrong:
        return f"{words} No answer is wrong."
    count, truth_label, taken_for = max(wrong, key=lambda entry: entry[0])
    return f"{words} The most frequent mistake: {truth_label} taken for {taken_for}, {count} times."


def of_training(report: Report) -> str:
    """Where the checkpoints were kept; the curves themselves are in history.csv."""
    words = "Loss and accuracy against optimizer steps, of training and of the list that chose the checkpoint."
    if report.provenance.step is not None:
        return f"{words} Kept: the checkpoint of step {report.provenance.step}."
    steps = sorted(run["step"] for run in report.spread.runs) if report.spread else []
    return f"{words} Kept: checkpoints of steps {steps[0]} to {steps[-1]}, of {len(steps)} runs." if steps else words


def of_speakers(groups: Sequence[Group]) -> str:
    """The mean over the speakers, the best and the worst of them."""
    best = max(groups, key=lambda group: group.unweighted_average_recall)
    worst = min(groups, key=lambda group: group.unweighted_average_recall)
    if len(groups) == 1:
        return (
            f"Unweighted average recall of the only speaker, {best.value}: {percent(best.unweighted_average_recall)}."
        )
    average = mean(group.unweighted_average_recall for group in groups)
    return (
        f"Unweighted average recall of {len(groups)} speakers: mean {percent(average)}, from "
        f"{percent(worst.unweighted_average_recall)} (speaker {worst.value}) to "
        f"{percent(best.unweighted_average_recall)} (speaker {best.value})."
    )


def of_reliability(bins: Sequence[Bin]) -> str:
    """How sure the model is on average, how often it is right, and which is higher."""
    clips = sum(b.clips for b in bins)
    confidence = sum(b.clips * b.confidence for b in bins) / clips
    accuracy = sum(b.clips * b.accuracy for b in bins) / clips
    verdict = "over-confident" if confidence > accuracy else "under-confident"
    return (
        f"On average the model is {percent(confidence)} sure of its answer and right in {percent(accuracy)} of the "
        f"cases: on the whole it is {verdict}."
    )
