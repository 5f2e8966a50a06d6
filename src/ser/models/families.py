"""What a family of encoders needs: its classifier, and which tensors of a checkpoint belong to another task."""

from dataclasses import dataclass
from typing import Any

from transformers import PretrainedConfig, PreTrainedModel
from transformers.models.hubert import modeling_hubert
from transformers.models.wav2vec2 import modeling_wav2vec2

from ser.errors import UserError
from ser.models.heads import PooledHead
from ser.models.moonshine import MoonshineForAudioClassification


# These carry the names of their parents because the name is written into config.json: a checkpoint then loads in stock
# transformers, with the same tensors.
class Wav2Vec2ForSequenceClassification(PooledHead, modeling_wav2vec2.Wav2Vec2ForSequenceClassification):
    """wav2vec 2.0 (arXiv 2006.11477) and XLS-R (arXiv 2111.09296)."""


class HubertForSequenceClassification(PooledHead, modeling_hubert.HubertForSequenceClassification):
    """HuBERT (arXiv 2106.07447)."""


HEAD = ("projector.", "classifier.", "layer_weights")
"""Names of the tensors that fine-tuning makes anew."""


@dataclass(frozen=True)
class Family:
    """One architecture of the library."""

    classifier: type[PreTrainedModel]
    other_tasks: tuple[str, ...]
    """Prefixes of tensors that a checkpoint may bring and a classifier has no use for."""
    untrained: tuple[str, ...] = ()
    """Suffixes of encoder tensors that published checkpoints may lack."""


FAMILIES = {
    # wav2vec2-base-960h was published without the vector that SpecAugment writes over masked frames. It is used in
    # training alone, so it may start at random.
    "wav2vec2": Family(
        Wav2Vec2ForSequenceClassification,
        other_tasks=("lm_head.", "quantizer.", "project_hid.", "project_q."),
        untrained=("masked_spec_embed",),
    ),
    "hubert": Family(HubertForSequenceClassification, other_tasks=("lm_head.",), untrained=("masked_spec_embed",)),
    "moonshine": Family(MoonshineForAudioClassification, other_tasks=("model.decoder.", "decoder.", "proj_out.")),
}
"""By `model_type` of config.json."""

# Only this class is unknown to the library, so only its code travels with the checkpoint.
MoonshineForAudioClassification.register_for_auto_class("AutoModelForAudioClassification")


def family_of(config: PretrainedConfig, source: str) -> Family:
    """The family of a checkpoint.

    Raises:
        UserError: an architecture that the package does not know.
    """
    if config.model_type not in FAMILIES:
        raise UserError(f"{source}: unknown model_type '{config.model_type}'; choices: {', '.join(sorted(FAMILIES))}")
    return FAMILIES[config.model_type]


def normalises_over_time(config: PretrainedConfig) -> bool:
    """Whether padding changes every frame of a clip: a group norm in the CNN averages over the whole input."""
    norm: Any = getattr(config, "feat_extract_norm", "group")  # Moonshine has a group norm and no name for it
    return bool(norm == "group")
