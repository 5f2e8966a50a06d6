"""Pooling over true lengths, shared by every classifier of the package.

This file imports nothing of `ser`: it is copied into checkpoints whose class the library does not have.
"""

from typing import Any

import torch
from torch import nn
from transformers.modeling_outputs import SequenceClassifierOutput


def frame_mask(frames: torch.Tensor, length: int) -> torch.Tensor:
    """Which of `length` frames belong to the clip: `(batch,)` frame counts -> `(batch, length)` booleans."""
    return torch.arange(length, device=frames.device)[None, :] < frames[:, None]


def masked_mean(hidden_states: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
    """Average `(batch, time, width)` over the first `frames` `(batch,)` of each clip, in float32: `(batch, width)`."""
    mask = frame_mask(frames, hidden_states.shape[1])[..., None]
    return hidden_states.float().masked_fill(~mask, 0.0).sum(dim=1) / frames[:, None]


class PooledHead:
    """Forward of a classification model: encoder -> layer weights -> projector -> masked mean -> classifier.

    The tensors and their names are those of the library's `...ForSequenceClassification`, so that a checkpoint loads
    there; for one unpadded clip the two give the same logits. With padding they differ where the library errs: here the
    mean is always over true lengths, and the encoder is given the attention mask only if it was trained with one.
    """

    # What the library's class brings.
    config: Any
    base_model: nn.Module
    projector: nn.Module
    classifier: nn.Linear
    layer_weights: nn.Parameter
    _get_feat_extract_output_lengths: Any

    accepts_loss_kwargs = False
    """The loss is a mean over the batch. Without this line the Trainer takes `forward` for one that divides by
    `num_items_in_batch`, and loss and gradient grow with accumulation and processes (transformers issue 47688)."""

    def forward(
        self, input_values: torch.Tensor, attention_mask: torch.Tensor | None = None, labels: torch.Tensor | None = None
    ) -> SequenceClassifierOutput:
        """Classify clips.

        Args:
            input_values: waveforms, 16 kHz, `(batch, samples)`, padded on the right.
            attention_mask: `(batch, samples)`, 1 for samples of the clip; None: no padding.
            labels: `(batch,)` class indices; with them the output has the cross-entropy, a mean over the batch.
        """
        if attention_mask is None:
            attention_mask = torch.ones_like(input_values, dtype=torch.long)
        frames = self.frames(attention_mask.sum(dim=-1)).clamp(min=1)
        hidden_states = self.projector(self.encode(input_values, attention_mask, frames))
        logits = self.classifier(masked_mean(hidden_states, frames).to(self.classifier.weight.dtype))
        loss = None if labels is None else nn.functional.cross_entropy(logits.float(), labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def encode(self, input_values: torch.Tensor, attention_mask: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        """Frame representations `(batch, time, width)`: the last layer, or the weighted sum of all of them."""
        weighted = self.config.use_weighted_layer_sum
        outputs = self.encoder_module()(
            input_values,
            attention_mask=self.encoder_mask(attention_mask, frames),
            output_hidden_states=weighted,
            return_dict=True,
        )
        if not weighted:
            return outputs.last_hidden_state
        weights = nn.functional.softmax(self.layer_weights, dim=-1)
        return (torch.stack(outputs.hidden_states, dim=1) * weights.view(-1, 1, 1)).sum(dim=1)

    def frames(self, samples: torch.Tensor) -> torch.Tensor:
        """Frames that the CNN makes of so many samples, `(batch,)`."""
        return self._get_feat_extract_output_lengths(samples).long()

    def encoder_module(self) -> nn.Module:
        return self.base_model

    def encoder_mask(self, attention_mask: torch.Tensor, frames: torch.Tensor) -> torch.Tensor | None:
        """The mask for the encoder: none where its CNN normalises over time (it never saw one in pretraining)."""
        return None if self.config.feat_extract_norm == "group" else attention_mask
