"""Layer weights, pooling over true lengths and the head, shared by every classifier of the package.

This file imports nothing of `ser`: it is copied into checkpoints whose class or pooling the library does not have.
"""

from typing import Any

import torch
from torch import nn
from transformers.modeling_outputs import SequenceClassifierOutput

POOLED_WIDTHS = {"mean": 1, "max": 1, "mean_std": 2, "attentive": 2}
"""How many times as wide as a frame the pooled vector is, by pooling."""


def frame_mask(frames: torch.Tensor, length: int) -> torch.Tensor:
    """Which of `length` frames belong to the clip: `(batch,)` frame counts -> `(batch, length)` booleans."""
    return torch.arange(length, device=frames.device)[None, :] < frames[:, None]


def masked_mean(hidden_states: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
    """Average `(batch, time, width)` over the first `frames` `(batch,)` of each clip, in float32: `(batch, width)`."""
    mask = frame_mask(frames, hidden_states.shape[1])[..., None]
    return hidden_states.float().masked_fill(~mask, 0.0).sum(dim=1) / frames[:, None]


def masked_max(hidden_states: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
    """Take the maximum of `(batch, time, width)` over the first `frames` of each clip: `(batch, width)`."""
    mask = frame_mask(frames, hidden_states.shape[1])[..., None]
    return hidden_states.float().masked_fill(~mask, float("-inf")).amax(dim=1)


def weighted_statistics(hidden_states: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Mean and standard deviation of `(batch, time, width)` under weights `(batch, time, 1)` that sum to one.

    Returns:
        `(batch, 2 width)`, means first.
    """
    states = hidden_states.float()
    mean = (weights * states).sum(dim=1)
    variance = (weights * (states - mean[:, None]) ** 2).sum(dim=1)
    # The slope of a root at zero is infinite, and a constant channel has no variance.
    return torch.cat([mean, variance.clamp(min=1e-6).sqrt()], dim=-1)


class PooledHead:
    """Forward of a classification model: encoder -> layer weights -> projector -> pooling -> classifier.

    With mean pooling the tensors and their names are those of the library's `...ForSequenceClassification`, so that a
    checkpoint loads there; for one unpadded clip the two give the same logits. With padding they differ where the
    library errs: here pooling is always over true lengths, and the encoder is given the attention mask only if it was
    trained with one.
    """

    # What the library's class brings.
    config: Any
    base_model: nn.Module
    projector: nn.Module
    classifier: nn.Linear
    layer_weights: nn.Parameter
    attention: nn.Linear
    post_init: Any
    _get_feat_extract_output_lengths: Any

    accepts_loss_kwargs = False
    """The loss is a mean over the batch. Without this line the Trainer takes `forward` for one that divides by
    `num_items_in_batch`, and loss and gradient grow with accumulation and processes (transformers issue 47688)."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)  # type: ignore[call-arg]
        if hasattr(config, "projection_size"):
            self.make_head(config)

    def make_head(self, config: Any) -> None:
        """Put in the place of the library's head one that pools otherwise.

        Its projection has a size of its own, `projection_size`, while `classifier_proj_size` is 1: a class of the
        library, which would ignore the pooling and answer wrongly, then refuses the checkpoint by its shapes.
        """
        self.projector = nn.Linear(config.hidden_size, config.projection_size)
        width = POOLED_WIDTHS[config.pooling] * config.projection_size
        self.classifier = nn.Linear(width, config.num_labels)
        if config.pooling == "attentive":
            self.attention = nn.Linear(config.projection_size, 1)
        self.post_init()

    def forward(
        self,
        input_values: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        input_features: torch.Tensor | None = None,
        mask_time_indices: torch.Tensor | None = None,
        mask_feature_indices: torch.Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Classify clips.

        Args:
            input_values: waveforms, 16 kHz, `(batch, samples)`, padded on the right; or else `input_features`.
            attention_mask: `(batch, samples)`, or `(batch, time)` of the features, 1 for what belongs to the clip;
                None: no padding.
            labels: `(batch,)` class indices; with them the output has the cross-entropy, a mean over the batch.
            input_features: what the feature extractor makes for an encoder that takes no waveform.
            mask_time_indices: `(batch, frames)`, true where SpecAugment hides a frame in training.
            mask_feature_indices: `(batch, width)`, true where it hides a channel.
        """
        inputs = input_values if input_features is None else input_features
        assert inputs is not None
        hidden = (mask_time_indices, mask_feature_indices)
        masks = {} if hidden == (None, None) else {"mask_time_indices": hidden}
        logits = self.classify(*self.represent(inputs, attention_mask, **masks))
        loss = None if labels is None else nn.functional.cross_entropy(logits.float(), labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def represent(
        self, inputs: torch.Tensor, attention_mask: torch.Tensor | None, **masks: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the frame representations `(batch, time, width)` and how many frames each clip has `(batch,)`."""
        attention_mask = self.input_mask(inputs, attention_mask)
        frames = self.frames(attention_mask.sum(dim=-1)).clamp(min=1)
        return self.encode(inputs, attention_mask, frames, **masks), frames

    def classify(self, hidden_states: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        """Return the logits `(batch, emotions)` of frame representations `(batch, time, width)`."""
        pooled = self.pool(self.projector(hidden_states), frames)
        return self.classifier(pooled.to(self.classifier.weight.dtype))

    def input_mask(self, inputs: torch.Tensor, attention_mask: torch.Tensor | None) -> torch.Tensor:
        """Return the mask of the input's steps `(batch, time)`; all ones where none was given."""
        return torch.ones_like(inputs, dtype=torch.long) if attention_mask is None else attention_mask

    def pool(self, hidden_states: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        """`(batch, time, width)` -> one vector a clip, over its true frames.

        Mean and standard deviation: x-vectors (Snyder et al. 2018). Attentive statistics: Okabe et al. 2018
        (arXiv 1803.10963), with one learned score a frame.
        """
        pooling = getattr(self.config, "pooling", "mean")
        if pooling == "mean":
            return masked_mean(hidden_states, frames)
        if pooling == "max":
            return masked_max(hidden_states, frames)
        mask = frame_mask(frames, hidden_states.shape[1])[..., None]
        scores = self.attention(torch.tanh(hidden_states)) if pooling == "attentive" else torch.zeros_like(mask).float()
        weights = scores.float().masked_fill(~mask, float("-inf")).softmax(dim=1)
        return weighted_statistics(hidden_states, weights)

    def encode(
        self, inputs: torch.Tensor, attention_mask: torch.Tensor, frames: torch.Tensor, **masks: Any
    ) -> torch.Tensor:
        """Frame representations `(batch, time, width)`: the last layer, or the weighted sum of all of them."""
        outputs = self.encoder_module()(
            inputs,
            attention_mask=self.encoder_mask(attention_mask, frames),
            output_hidden_states=self.config.use_weighted_layer_sum,
            return_dict=True,
            **masks,
        )
        if not self.config.use_weighted_layer_sum:
            return outputs.last_hidden_state
        return self.weigh(outputs.hidden_states)

    def weigh(self, layers: Any) -> torch.Tensor:
        """Compute the learned weighted sum over layers, each `(batch, time, width)` (SUPERB, arXiv 2105.01051)."""
        weights = nn.functional.softmax(self.layer_weights, dim=-1)
        return (torch.stack(list(layers), dim=1) * weights.view(-1, 1, 1)).sum(dim=1)

    def frames(self, lengths: torch.Tensor) -> torch.Tensor:
        """Frames that the encoder makes of so many samples, or of so many steps of its features, `(batch,)`."""
        return self._get_feat_extract_output_lengths(lengths).long()

    def encoder_module(self) -> nn.Module:
        return self.base_model

    def encoder_mask(self, attention_mask: torch.Tensor, frames: torch.Tensor) -> torch.Tensor | None:
        """Return the mask for the encoder: none where its CNN normalises over time (as in pretraining)."""
        return None if getattr(self.config, "feat_extract_norm", "layer") == "group" else attention_mask
