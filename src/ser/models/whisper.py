"""The encoder of Whisper (arXiv 2212.04356) with a classification head, run on the true length of a clip.

The library's encoder insists on 30 s of input and attends to all of it. Here positions beyond the longest clip of the
batch are cut off, and padding is masked: a clip of 4 s costs an eighth, and its answer does not depend on its batch.
The two differ, because in 30 s the silence after the clip is attended to and averaged; so a checkpoint carries this
file and `heads.py`, and a class of the library refuses it by its shapes rather than answer otherwise.
"""

from typing import Any

import torch
from torch import nn
from transformers.models.whisper import modeling_whisper

from .heads import PooledHead, frame_mask


class WhisperForAudioClassification(PooledHead, modeling_whisper.WhisperForAudioClassification):
    """Log-mel spectrogram `(batch, mels, time)`, 10 ms a step -> encoder -> pooling over true frames -> classifier."""

    encoder: Any

    def input_mask(self, inputs: torch.Tensor, attention_mask: torch.Tensor | None) -> torch.Tensor:
        """Return the mask of spectrogram steps; by default the extractor of transformers gives one of samples."""
        mask = super().input_mask(inputs[:, 0], attention_mask)
        return mask[:, :: mask.shape[1] // inputs.shape[-1]]

    def frames(self, lengths: torch.Tensor) -> torch.Tensor:
        """Two spectrogram steps make a frame of 20 ms."""
        return torch.div(lengths - 1, 2, rounding_mode="floor") + 1

    def encode(
        self, inputs: torch.Tensor, attention_mask: torch.Tensor, frames: torch.Tensor, **masks: Any
    ) -> torch.Tensor:
        """Run the layers of the encoder of transformers on the `time` steps that there are, not on 3000.

        Padding is zero in front of each convolution, as the convolutions' own padding is at the end of a clip alone.
        """
        steps = attention_mask[:, None, :].to(inputs.dtype)
        hidden_states = nn.functional.gelu(self.encoder.conv1(inputs * steps)) * steps
        hidden_states = nn.functional.gelu(self.encoder.conv2(hidden_states)).permute(0, 2, 1)
        length = hidden_states.shape[1]
        hidden_states = hidden_states + self.encoder.embed_positions.weight[:length]
        hidden_states = nn.functional.dropout(hidden_states, p=self.encoder.dropout, training=self.training)
        outside = ~frame_mask(frames, length)[:, None, None, :]
        bias = torch.zeros(outside.shape, dtype=hidden_states.dtype, device=hidden_states.device)
        bias = bias.masked_fill(outside, torch.finfo(hidden_states.dtype).min)
        layers = []
        for layer in self.encoder.layers:
            layers.append(hidden_states)
            output = layer(hidden_states, bias)
            hidden_states = output[0] if isinstance(output, tuple) else output  # a tuple in transformers 5.0
        hidden_states = self.encoder.layer_norm(hidden_states)
        return self.weigh([*layers, hidden_states]) if self.config.use_weighted_layer_sum else hidden_states
