"""Config of the encoder, its head and its input."""

import re
from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from ser.config.enums import Pooling
from ser.config.paths import PATH
from ser.config.ranges import Range, check_number, check_ranges, number
from ser.errors import UserError


@dataclass
class Model:
    """An encoder and its classification head."""

    name: str = MISSING
    """The name of the model, which is part of the names of folders."""
    pretrained: str | None = field(default=None, metadata=PATH)
    """A hub name or a local folder in the hub's layout; null: random weights with the shape in `encoder_config`."""
    freeze: str = MISSING
    """Part that keeps its pretrained weights: `cnn`, `encoder` (all but the head), `none`, or `layers:N` (the CNN, the
    first N layers and everything between them; the layers after the N-th are trained)."""
    num_layers: int | None = number(None, least=1)
    """Keep the first layers of the encoder alone, this many of them: a smaller and faster model, whose last layers were
    trained for another task anyway (Pasad et al. 2021, arXiv 2107.04734); null: all of them."""
    do_normalize: bool | None = None
    """Bring each clip to zero mean and unit variance before the encoder, as preprocessor_config.json of the saved
    checkpoint then says; null: as the pretrained checkpoint does it. Moonshine does not, and its group norm adds a
    constant to the variance, in which quiet clips are lost: 30 dB quieter, UAR on RAVDESS falls from 73 to 53 %."""
    weighted_layer_sum: bool = MISSING
    """Pool a learned weighted sum of all layers (SUPERB, arXiv 2105.01051) instead of the last layer."""
    classifier_proj_size: int = number(least=1)
    """Width of the projection between encoder and pooling."""
    pooling: Pooling = MISSING
    """Pooling over frames. `mean` saves a checkpoint that transformers loads as it is; checkpoints with another pooling
    include its code."""
    lora_rank: int | None = number(None, least=1)
    """Rank of LoRA updates of the attention (arXiv 2106.09685), which are trained instead of the encoder; null: no
    LoRA."""
    lora_alpha: float = number(above=0)
    """The update is scaled by `lora_alpha / lora_rank`."""
    lora_dropout: float = number(least=0, below=1)
    """Share of the input of each update that dropout sets to zero in training."""
    gradient_checkpointing: bool = MISSING
    """Recompute each layer in the backward pass instead of keeping activations: less memory, a third more time."""
    encoder_config: dict[str, Any] = field(default_factory=dict)
    """Settings of the encoder's config in transformers (dropouts, SpecAugment, layerdrop; the whole shape for random
    weights). They are set here so that those of a checkpoint are not used unnoticed."""

    def __post_init__(self) -> None:
        """Raise a UserError for a model with neither checkpoint nor shape, and for an invalid `freeze`."""
        check_ranges(self, "model.")
        for key, value in self.encoder_config.items():
            check_number(f"model.encoder_config.{key}", value, range_of_setting(key))
        if not re.fullmatch(r"cnn|encoder|none|layers:\d+", self.freeze):
            raise UserError(f"model.freeze={self.freeze}: choices: cnn, encoder, none, layers:N")
        if self.lora_rank is not None and self.freeze not in ("cnn", "none"):
            # LoRA updates all layers; `cnn` and `none` differ only in weights that LoRA freezes anyway.
            raise UserError(
                f"model.freeze={self.freeze} and model.lora_rank={self.lora_rank}: LoRA freezes the whole encoder and "
                "trains updates of all its layers; give one of the two"
            )
        if self.pretrained is None and "model_type" not in self.encoder_config:
            raise UserError(
                f"model '{self.name}': without model.pretrained its model.encoder_config must name a model_type "
                "(random weights); give model.pretrained=PATH for a local checkpoint"
            )


def range_of_setting(key: str) -> Range:
    """Return the allowed range of a setting of an encoder's config, judged by its name."""
    if key.endswith(("dropout", "dropout_prob", "layerdrop", "_prob")):
        return Range(least=0, most=1)
    if key.endswith(("_size", "_layers", "_heads", "conv_dim", "conv_kernel", "conv_stride", "_eps", "_groups")):
        return Range(above=0)
    return Range()


@dataclass
class Audio:
    """Preprocessing of a clip before the encoder; it is stored in the checkpoint and applied when it is scored."""

    trim: bool = MISSING
    """Cut off the silence before and after the speech except 0.1 s; 58 % of RAVDESS remains. The model then cannot use
    the length of the silence; a user of its checkpoint must trim with `ser.data.silence.speech_span` too."""
