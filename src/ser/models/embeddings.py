"""Embeddings: what the head pools, the frame representations of the encoder, as float32 arrays."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ser.models.arrays import Embedding, Logits
from ser.models.forward import Batch, default_device


@torch.inference_mode()
def compute_logits_and_embeddings(
    classifier: Any, batches: Iterable[Batch], frames: bool
) -> tuple[Logits, list[Embedding]]:
    """Run the encoder once over batches, for the logits and for the embeddings.

    The representations are those before the projector: of the last layer, or the learned weighted sum of all layers
    where the head has one. They do not depend on padding as long as the batches suit the encoder: see
    `ser.inference.checkpoint_member.CheckpointMember.make_batches`.

    Args:
        classifier: a `ser.models.heads.PooledHead`.
        batches: of a collator.
        frames: return each frame rather than the mean over the frames of a clip.

    Returns:
        Logits `(clips, emotions)`, and an embedding of each clip, in the order of the batches: `(width,)`, or with
        `frames` `(frames, width)` of the clip's own length.
    """
    logits, embeddings = [], []
    for states, counts in represent(classifier, batches):
        logits.append(classifier.classify(states, counts).float().cpu().numpy())
        for clip, count in zip(states.float().cpu().numpy(), counts.tolist(), strict=True):
            embeddings.append(clip[:count].copy() if frames else mean_over_frames(clip[:count]))
    return np.concatenate(logits), embeddings


@torch.inference_mode()
def compute_pooled(classifier: Any, batches: Iterable[Batch]) -> npt.NDArray[np.float64]:
    """Compute the input of the last layer, the pooled projections of clips, `(clips, width)`.

    Args:
        classifier: a `ser.models.heads.PooledHead`.
        batches: of a collator.
    """
    pooled = (
        classifier.pool(classifier.projector(states), counts) for states, counts in represent(classifier, batches)
    )
    return np.concatenate([vectors.double().cpu().numpy() for vectors in pooled])


@torch.inference_mode()
def compute_mapped_logits(
    classifier: Any, batches: Iterable[Batch], scales: npt.NDArray[Any], shifts: npt.NDArray[Any]
) -> Logits:
    """Compute the logits `(clips, emotions)` of clips whose frame representations are mapped to `scale * x + shift`.

    Args:
        classifier: a `ser.models.heads.PooledHead`.
        batches: of a collator.
        scales: `(clips, width)`, in the order of the batches.
        shifts: `(clips, width)`, in the order of the batches.
    """
    logits, start = [], 0
    for states, counts in represent(classifier, batches):
        some = slice(start, start + len(states))
        scale, shift = (torch.as_tensor(values[some]).to(states)[:, None] for values in (scales, shifts))
        logits.append(classifier.classify(states * scale + shift, counts).float().cpu().numpy())
        start += len(states)
    return np.concatenate(logits)


def represent(classifier: Any, batches: Iterable[Batch]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield the frame representations `(batch, time, width)` of batches, and the frames of each clip `(batch,)`."""
    device = default_device()
    classifier.eval().to(device)
    for batch in batches:
        inputs = batch["input_values"] if "input_values" in batch else batch["input_features"]
        yield classifier.represent(inputs.to(device), batch["attention_mask"].to(device))


def mean_over_frames(frames: Embedding) -> Embedding:
    """Return the mean `(width,)` over frames `(frames, width)`.

    >>> mean_over_frames(np.array([[1, 2], [3, 6]], dtype=np.float32))
    array([2., 4.], dtype=float32)
    """
    return frames.mean(axis=0, dtype=np.float64).astype(np.float32)
