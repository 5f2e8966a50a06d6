"""What `train` does at its end and `evaluate` by itself: score a list and say what the number is."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from ser.config import Audio, Protocol, Side
from ser.corpora import CORPORA
from ser.data.audit import leaks
from ser.data.batches import Clips, Collator, FeatureCollator, collated, in_order, scoring_batches
from ser.data.manifest import Utterance
from ser.data.prepared import Prepared
from ser.data.protocols import Split
from ser.data.wording import absent, heard, in_words, silence
from ser.models.checkpoint import ON_THE_WAY, audio_of
from ser.models.families import depends_on_padding
from ser.models.inference import Answer, logits
from ser.results import page, report
from ser.results.metrics import probabilities
from ser.results.mistakes import Mistake, most_confident
from ser.results.report import Provenance, Report
from ser.runs.finished import Scored


def score(
    classifier: PreTrainedModel,
    collator: Collator | FeatureCollator,
    prepared: Prepared,
    rows: Sequence[Utterance],
    audio: Audio,
    batch_size: int,
) -> Scored:
    """The probabilities of each clip of a list, in the order of `rows`."""
    equal_lengths = depends_on_padding(classifier.config)
    return scored_by(partial(logits, classifier), collator, prepared, rows, audio, batch_size, equal_lengths)


def scored_by(
    answer: Answer,
    collator: Collator | FeatureCollator,
    prepared: Prepared,
    rows: Sequence[Utterance],
    audio: Audio,
    batch_size: int,
    equal_lengths: bool,
) -> Scored:
    """The same of whatever answers."""
    clips = Clips(prepared, rows, audio.trim)
    batches = scoring_batches(clips.lengths(), batch_size, equal_lengths)
    answers = probabilities(answer(collated(clips, batches, collator)))
    return Scored(rows, prepared.emotions, in_order(answers, batches))


def provenance(protocol: Protocol, lists: Split, side: Side, stamp: dict[str, Any], prepared: Prepared) -> Provenance:
    """Where the number of one run comes from."""
    corpus = CORPORA[stamp["corpus"]]
    return Provenance(
        corpus=stamp["corpus"],
        description=corpus.DESCRIPTION,
        synthetic=corpus.SYNTHETIC,
        protocol=stamp["identity"],
        scored_on=side.value,
        in_words=" ".join(
            [
                in_words(protocol, [lists], side, chosen=not stamp.get(ON_THE_WAY)),
                *absent([lists], side, prepared.emotions),
                *silence(audio_of(stamp).trim),
            ]
        ),
        leaks=leaks(lists, side, prepared.copies),
        speakers_are_new=not heard(lists, side),
        model=stamp["model"],
        seed=stamp["seed"],
        step=stamp["step"],
    )


def write_report(folder: Path, measured: Report, used: dict[str, Any], prepared: Prepared) -> dict[str, Any]:
    """Write all files of a report; the figures of training, if there was any, are in `folder` already.

    Returns:
        What environment.json holds of a finished run: `used` and the provenance.
    """
    report.write(folder, measured)
    page.write(folder, measured, used, mistakes(measured.scored, prepared))
    return {**used, "provenance": vars(measured.provenance)}


def mistakes(scored: Scored, prepared: Prepared) -> list[Mistake]:
    """The most confident wrong answers, with their audio."""
    chosen = most_confident(scored)
    rows = prepared.of([scored.utterances[index] for index in chosen])
    return [
        Mistake(
            scored.utterances[index],
            scored.prediction[index],
            float(scored.probabilities[index].max()),
            prepared.audio.samples(row),
        )
        for index, row in zip(chosen, rows, strict=True)
    ]
