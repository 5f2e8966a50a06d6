"""Adapt a checkpoint to the recordings of one speaker."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ser import config
from ser.checksums import hash_samples
from ser.data.audio_file import Int16
from ser.data.batches import restore_order
from ser.errors import UserError
from ser.inference.blocks import decode
from ser.inference.checkpoint_member import CheckpointMember
from ser.inference.recordings import Recordings, resolve
from ser.models.adaptation import (
    LABELLED_STRENGTH,
    TEMPERATURE,
    UNLABELLED_STRENGTH,
    LinearHead,
    fit_labelled,
    match_prior,
)
from ser.models.embeddings import compute_pooled
from ser.tables import read_table

NAMED = 3
"""Emotions whose change is described."""


@dataclass(frozen=True)
class Voice:
    """Recordings of one speaker."""

    clips: Sequence[Int16]
    labels: npt.NDArray[np.int64] | None
    """Class indices `(clips,)`; None: there are no labels."""


@dataclass(frozen=True)
class Adaptation:
    """The last layer of an adapted checkpoint, and what is known of it."""

    head: LinearHead
    stamp: dict[str, Any]
    """What was adapted to, for the config of the checkpoint."""
    accuracies: tuple[float, float] | None
    """Share of the labelled clips that are predicted right before, and after an adaptation to the other clips."""
    predicted: tuple[list[int], list[int]]
    """Number of the clips that are predicted to have each emotion, before and after the adaptation."""


def read_voice(cfg: config.Adapt, emotions: Sequence[str]) -> Voice:
    """Read the recordings and their labels.

    Raises:
        UserError: A recording cannot be read, has a label that the checkpoint does not know, or has none where labels
            are asked for; or there are too few.
    """
    recordings = resolve(cfg.audio, cfg.root)
    labels = None if cfg.labelled is False else find_labels(cfg, recordings, emotions)
    decoded = [decode(recording, cfg.max_seconds) for recording in recordings]
    if failed := [(recording.name, clip) for recording, clip in decoded if isinstance(clip, str)]:
        raise UserError(f"audio={cfg.audio}: {len(failed)} of {len(decoded)} recordings cannot be read: "
                        f"{failed[0][0]}: {failed[0][1]}")  # fmt: skip
    return Voice([clip for _, clip in decoded if not isinstance(clip, str)], labels)


def find_labels(cfg: config.Adapt, recordings: Recordings, emotions: Sequence[str]) -> npt.NDArray[np.int64] | None:
    """Return the class index of each recording; None where they have no labels."""
    given = name_labels(cfg, recordings, emotions)
    if given is None:
        if cfg.labelled:
            raise UserError(
                f"labelled=true: not every recording of audio={cfg.audio} lies in a folder with the name of an emotion "
                f"({', '.join(emotions)}); a CSV with the columns path and emotion labels them as well"
            )
        return None
    if unknown := sorted(set(given) - set(emotions)):
        raise UserError(f"audio={cfg.audio}: the checkpoint has no emotion {unknown[0]}; it has {', '.join(emotions)}")
    return np.array([emotions.index(name) for name in given], dtype=np.int64)


def name_labels(cfg: config.Adapt, recordings: Recordings, emotions: Sequence[str]) -> list[str] | None:
    """Return the emotion of each recording in words, as the table or the folders give it."""
    place = Path(cfg.audio)
    if place.is_file() and place.suffix.lower() == ".csv":
        rows = read_table(place, ["path"], f"audio={place}")
        return [name.strip().lower() for name in rows["emotion"]] if "emotion" in rows else None
    folders = [recording.path.parent.name.lower() for recording in recordings]
    return folders if set(folders) <= set(emotions) else None


def adapt(member: CheckpointMember, voice: Voice, cfg: config.Adapt) -> Adaptation:
    """Fit the last layer of a checkpoint to a voice, from its logits divided by `TEMPERATURE`; the encoder stays.

    Raises:
        UserError: The checkpoint has no softmax, or there are too few clips.
    """
    if member.outputs.activation != "softmax":
        raise UserError(
            f"checkpoint={cfg.checkpoint}: its head is a {member.outputs.activation}, and only one with a softmax is "
            "adapted"
        )
    if len(voice.clips) < 2:
        raise UserError(f"audio={cfg.audio}: one recording does not show a voice; give more")
    head, pooled = read_head(member), pool(member, voice.clips, cfg.batch_size)
    stamp = {
        "clips": len(voice.clips),
        "labelled": voice.labels is not None,
        "sha256": sorted(map(hash_samples, voice.clips)),
    }
    if voice.labels is None:
        adapted, gain = match_prior(head, pooled, read_prior(cfg, member.labels), UNLABELLED_STRENGTH), None
    else:
        adapted = fit_labelled(head, pooled, voice.labels, LABELLED_STRENGTH)
        gain = estimate_gain(head, pooled, voice.labels)
    return Adaptation(adapted, stamp, gain, (count_predicted(head, pooled), count_predicted(adapted, pooled)))


def count_predicted(head: LinearHead, pooled: npt.NDArray[np.float64]) -> list[int]:
    """Return the number of clips that are predicted to have each emotion."""
    counts: list[int] = np.bincount(head.logits(pooled).argmax(axis=1), minlength=len(head.bias)).tolist()
    return counts


def read_head(member: CheckpointMember) -> LinearHead:
    """Return the last layer of a checkpoint, with its logits divided by `TEMPERATURE`."""
    classifier: Any = member.classifier
    layer = classifier.classifier
    return LinearHead(to_array(layer.weight), to_array(layer.bias)).softened(TEMPERATURE)


def pool(member: CheckpointMember, clips: Sequence[Int16], batch_size: int) -> npt.NDArray[np.float64]:
    """Return the input of the last layer for clips, in their order, `(clips, width)`."""
    order, batches = member.make_batches(clips, batch_size)
    return restore_order(compute_pooled(member.classifier, batches), order)


def read_prior(cfg: config.Adapt, emotions: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return the expected share of each emotion, `(emotions,)`.

    Raises:
        UserError: One of them is not an emotion of the checkpoint.
    """
    given = cfg.prior or dict.fromkeys(emotions, 1 / len(emotions))
    if unknown := sorted(set(given) - set(emotions)):
        raise UserError(f"prior.{unknown[0]}: the checkpoint has no such emotion; it has {', '.join(emotions)}")
    return np.array([given.get(emotion, 0.0) for emotion in emotions])


def estimate_gain(head: LinearHead, pooled: Any, labels: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Return the accuracy on the clips before, and of each clip after an adaptation to all others."""
    before = float((head.logits(pooled).argmax(axis=1) == labels).mean())
    right = []
    for place in range(len(labels)):
        others = np.arange(len(labels)) != place
        left_out = fit_labelled(head, pooled[others], labels[others], LABELLED_STRENGTH)
        right.append(left_out.logits(pooled[place : place + 1]).argmax() == labels[place])
    return before, float(np.mean(right))


def install(classifier: Any, head: LinearHead) -> None:
    """Write an adapted layer into a classifier."""
    with torch.no_grad():
        classifier.classifier.weight.copy_(torch.from_numpy(head.weight))
        classifier.classifier.bias.copy_(torch.from_numpy(head.bias))


def to_array(parameter: torch.Tensor) -> npt.NDArray[np.float64]:
    return parameter.detach().double().cpu().numpy()


def describe(voice: Voice, adaptation: Adaptation, emotions: Sequence[str]) -> str:
    """Describe an adaptation in a sentence."""
    if voice.labels is None:
        return f"adapted to {len(voice.clips)} recordings without labels: {describe_changes(adaptation, emotions)}"
    counts = Counter(emotions[label] for label in voice.labels.tolist())
    named = ", ".join(f"{counts[emotion]} {emotion}" for emotion in emotions if counts[emotion])
    assert adaptation.accuracies is not None
    before, after = (f"{100 * accuracy:.0f} %" for accuracy in adaptation.accuracies)
    return (
        f"adapted to {len(voice.clips)} labelled recordings ({named}): {before} of them were predicted right before; "
        f"each of them predicted after an adaptation to the others alone, {after} are right"
    )


def describe_changes(adaptation: Adaptation, emotions: Sequence[str]) -> str:
    """Name the emotions that are predicted for most more or fewer of the clips than before, at most `NAMED` of them."""
    rows = zip(emotions, *adaptation.predicted, strict=True)
    changed = sorted((row for row in rows if row[1] != row[2]), key=lambda row: -abs(row[2] - row[1]))
    if not changed:
        return "how often each emotion is predicted has not changed"
    return "of them predicted as " + ", ".join(
        f"{name} {after} ({before} before)" for name, before, after in changed[:NAMED]
    )
