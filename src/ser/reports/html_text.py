"""The sentences of the page, with a text alternative for each figure."""

from collections.abc import Sequence
from statistics import mean

from ser.evaluation.intervals import RESAMPLES
from ser.evaluation.metrics import Bin
from ser.evaluation.subgroups import Subgroup
from ser.reports.formats import percent
from ser.reports.provenance import Provenance
from ser.reports.report import Report
from ser.wording import counted


def describe_shared(provenance: Provenance) -> str:
    """Say in one phrase why a protocol is not speaker-independent."""
    return "speakers of the training split" if provenance.speakers_known else "speakers unknown"


def describe_intervals(report: Report) -> str:
    """Describe what the intervals resample, and so what they generalize to."""
    if not report.provenance.speaker_independent:
        same = "the same speakers" if report.provenance.speakers_known else "the same corpus"
        return (
            f"The intervals resample the {report.units} test clips {RESAMPLES} times: they describe further clips of "
            f"{same}, not other speakers."
        )
    if report.units == 1:
        return "There is only one test speaker, from whom nothing follows for others: the intervals are 0 to 100 %."
    return (
        f"The intervals resample the {report.units} test speakers as wholes, {RESAMPLES} times: they describe other "
        "speakers of the same kind."
    )


def describe_confusion(counts: Sequence[Sequence[int]], labels: Sequence[str]) -> str:
    """Name the emotions with the highest and the lowest recall, and the most frequent confusion."""
    recalls = {
        label: row[index] / sum(row) for index, (label, row) in enumerate(zip(labels, counts, strict=True)) if sum(row)
    }
    best, worst = max(recalls, key=lambda label: recalls[label]), min(recalls, key=lambda label: recalls[label])
    words = (
        f"Confusion matrix of {sum(map(sum, counts))} predictions. Highest recall: {best}, {percent(recalls[best])}; "
        f"lowest: {worst}, {percent(recalls[worst])}."
    )
    wrong = [
        (count, labels[truth], labels[predicted])
        for truth, row in enumerate(counts)
        for predicted, count in enumerate(row)
        if truth != predicted and count
    ]
    if not wrong:
        return f"{words} No prediction is wrong."
    count, truth_label, predicted_label = max(wrong, key=lambda entry: entry[0])
    return f"{words} Most frequent confusion: {truth_label} predicted as {predicted_label}, {counted(count, 'times')}."


def describe_training(report: Report) -> str:
    """Name the steps of the selected checkpoints; the curves themselves are in history.csv."""
    words = "Loss and accuracy by optimizer step, on the training split and on the split evaluated beside it, if any."
    if report.provenance.step is not None:
        return f"{words} The checkpoint is that of step {report.provenance.step}."
    steps = sorted(run["step"] for run in report.variation.runs) if report.variation else []
    return f"{words} The {len(steps)} checkpoints are of steps {steps[0]} to {steps[-1]}." if steps else words


def describe_speakers(speakers: Sequence[Subgroup]) -> str:
    """Name the mean over the speakers, the best and the worst of them."""
    best = max(speakers, key=lambda speaker: speaker.unweighted_average_recall)
    worst = min(speakers, key=lambda speaker: speaker.unweighted_average_recall)
    if len(speakers) == 1:
        return (
            f"Unweighted average recall of the only speaker, {best.value}: {percent(best.unweighted_average_recall)}."
        )
    average = mean(speaker.unweighted_average_recall for speaker in speakers)
    return (
        f"Unweighted average recall of {len(speakers)} speakers: mean {percent(average)}, from "
        f"{percent(worst.unweighted_average_recall)} (speaker {worst.value}) to "
        f"{percent(best.unweighted_average_recall)} (speaker {best.value})."
    )


def describe_reliability(bins: Sequence[Bin]) -> str:
    """Compare the mean confidence with the accuracy."""
    clips = sum(b.clips for b in bins)
    confidence = sum(b.clips * b.confidence for b in bins) / clips
    accuracy = sum(b.clips * b.accuracy for b in bins) / clips
    verdict = "over-confident" if confidence > accuracy else "under-confident"
    return (
        f"The mean confidence is {percent(confidence)} and the accuracy {percent(accuracy)}: on average the model is "
        f"{verdict}."
    )
