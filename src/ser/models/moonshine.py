"""The encoder of Moonshine (arXiv 2410.15608) with a classification head, after the library's Whisper classifier.

transformers has no audio-classification class for Moonshine. A checkpoint therefore carries this file and `heads.py`,
and `AutoModelForAudioClassification.from_pretrained(folder, trust_remote_code=True)` loads it without `ser`.
"""

import torch
from torch import nn
from transformers.models.moonshine.modeling_moonshine import MoonshineEncoder, MoonshinePreTrainedModel

from .heads import PooledHead, frame_mask

CONVOLUTIONS = ((127, 64), (7, 3), (3, 2))
"""Kernel and stride of each."""
SAMPLES_PER_FRAME = 64 * 3 * 2
"""Product of the strides."""


class TraceableMoonshineEncoder(MoonshineEncoder):
    """The library's encoder, counting its frames in integers.

    The library's formula goes through floats, and `torch.export` then cuts the mask to another length than the frames.
    """

    def _get_feat_extract_output_lengths(self, input_lengths):  # type: ignore[no-untyped-def]
        for kernel, stride in CONVOLUTIONS:
            input_lengths = (input_lengths - kernel) // stride + 1
        return input_lengths


class MoonshineModelForClassification(MoonshinePreTrainedModel):
    """The tensors of the classifier, as a `...ForAudioClassification` of the library would have them."""

    def __init__(self, config):  # type: ignore[no-untyped-def]
        super().__init__(config)
        layers = config.encoder_num_hidden_layers + 1  # and the input of the first
        self.encoder = TraceableMoonshineEncoder(config)
        if config.use_weighted_layer_sum:
            self.layer_weights = nn.Parameter(torch.ones(layers) / layers)
        self.projector = nn.Linear(config.hidden_size, config.classifier_proj_size)
        self.classifier = nn.Linear(config.classifier_proj_size, config.num_labels)
        self.post_init()


class MoonshineForAudioClassification(PooledHead, MoonshineModelForClassification):  # type: ignore[misc]
    """Raw waveform -> Moonshine encoder -> layer weights -> projector -> pooling -> classifier."""

    def encoder_module(self) -> nn.Module:
        return self.encoder

    def frames(self, lengths: torch.Tensor) -> torch.Tensor:
        """Frames that the CNN makes of so many samples, `(batch,)`."""
        return self.encoder._get_feat_extract_output_lengths(lengths).long()

    def encoder_mask(self, attention_mask: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        """Return a mask of samples that leaves exactly the true frames.

        The encoder keeps every 384th entry of its mask, which by itself lets a clip attend to a frame or two of
        padding.
        """
        return frame_mask(frames * SAMPLES_PER_FRAME, attention_mask.shape[1]).long()
