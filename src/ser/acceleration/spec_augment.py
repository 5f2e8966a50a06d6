"""The masks of an encoder in training, made so that nothing waits for the GPU.

transformers draws SpecAugment's masks (arXiv 1904.08779) inside the forward pass, from lengths that it reads back from
the device, and writes them through indices that it searches there: the host waits for each. Here the same function
draws the same mask on the CPU from the lengths of the batch; the mask comes with the batch, and the encoder applies it
with one `torch.where`. For the same mask the output equals that of transformers, bit for bit.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel
from transformers.models.wav2vec2.modeling_wav2vec2 import _compute_mask_indices

from ser.models.architectures import find_architecture
from ser.models.heads import frame_mask

Masks = dict[str, torch.Tensor]


def uses_spec_augment(classifier: PreTrainedModel) -> bool:
    """Return whether training masks parts of the hidden states."""
    config = classifier.config
    return (
        hasattr(classifier.base_model, "_mask_hidden_states")
        and getattr(config, "apply_spec_augment", True)
        and (config.mask_time_prob > 0 or config.mask_feature_prob > 0)
    )


def draw_masks(classifier: Any, lengths: torch.Tensor, longest: int, seed: Sequence[int]) -> Masks:
    """Draw the masks of a batch.

    Args:
        classifier: its config has the probabilities and lengths.
        lengths: steps of the input that belong to each clip, `(batch,)`, on the CPU.
        longest: steps to which the batch is padded.
        seed: whole numbers; for the same ones the masks are the same, whatever was drawn before.

    Returns:
        `mask_time_indices` `(batch, frames)` and `mask_feature_indices` `(batch, width)`, booleans, each only where the
        config asks for it.
    """
    config = classifier.config
    frames = int(classifier.frames(torch.tensor(longest)))
    masks = {}
    with numpy_seed(seed):
        if config.mask_time_prob > 0:
            own = frame_mask(classifier.frames(lengths), frames)
            masks["mask_time_indices"] = _compute_mask_indices(
                (len(lengths), frames),
                config.mask_time_prob,
                config.mask_time_length,
                own if masks_within_clips(classifier) else None,
                config.mask_time_min_masks,
            )
        if config.mask_feature_prob > 0:
            masks["mask_feature_indices"] = _compute_mask_indices(
                (len(lengths), config.hidden_size),
                config.mask_feature_prob,
                config.mask_feature_length,
                None,
                getattr(config, "mask_feature_min_masks", 0),  # WavLM's config lacks it
            )
    return {name: torch.from_numpy(mask) for name, mask in masks.items()}


def masks_within_clips(classifier: Any) -> bool:
    """Return whether transformers samples the spans by the true length of a clip instead of the padded one.

    It does where the encoder gets an attention mask and passes it on.
    """
    ones = torch.ones(1, 1, dtype=torch.long)
    return (
        find_architecture(classifier.config).masks_within_clips and classifier.encoder_mask(ones, ones[0]) is not None
    )


@contextmanager
def numpy_seed(seed: Sequence[int]) -> Iterator[None]:
    """Seed numpy's global generator, which transformers draws from; afterwards restore its state."""
    before = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)


def accept_masks(classifier: PreTrainedModel) -> None:
    """Let a classifier take masks with its inputs and draw none by itself; without masks nothing is masked.

    Modules, tensors and their names stay what they are, so a checkpoint is the same with and without. An encoder of
    another line than wav2vec2's is left as it is.
    """
    encoder: Any = classifier.base_model
    if hasattr(encoder, "_mask_hidden_states"):
        encoder._mask_hidden_states = partial(apply_masks, encoder)
        encoder._get_feature_vector_attention_mask = partial(true_frame_mask, encoder)


def true_frame_mask(encoder: Any, time: int, attention_mask: torch.Tensor, **_: Any) -> torch.Tensor:
    """Which of `time` frames belong to a clip, from the mask of its samples: `(batch, time)` booleans.

    The library's own counts back from a one that it writes at the last frame, and copies that one to the device first.
    """
    frames = encoder._get_feat_extract_output_lengths(attention_mask.sum(dim=-1)).clamp(min=1)
    return frame_mask(frames, time)


def apply_masks(
    encoder: Any,
    hidden_states: torch.Tensor,
    mask_time_indices: tuple[torch.Tensor | None, torch.Tensor | None] | None = None,
    attention_mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """Replace masked frames by the learned vector, and masked channels by zero.

    Args:
        encoder: the base model.
        hidden_states: `(batch, time, width)`.
        mask_time_indices: the two masks of `PooledHead.forward`; None: nothing is hidden.
        attention_mask: passed by transformers to draw masks; not used.
    """
    frames, channels = mask_time_indices or (None, None)
    if frames is not None:
        vector = encoder.masked_spec_embed.to(hidden_states.dtype)
        hidden_states = torch.where(frames[..., None], vector, hidden_states)
    if channels is not None:
        hidden_states = hidden_states.masked_fill(channels[:, None], 0)
    return hidden_states
