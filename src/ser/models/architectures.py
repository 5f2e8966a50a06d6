"""The table of architectures: the one place that knows in what they differ.

A new architecture is an entry here and its class in `ser.models.classifiers` or in a file of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import (
    PretrainedConfig,
    PreTrainedModel,
    SeamlessM4TFeatureExtractor,
    SequenceFeatureExtractor,
    Wav2Vec2FeatureExtractor,
    WhisperFeatureExtractor,
)

from ser.errors import UserError
from ser.models import classifiers
from ser.models.moonshine import MoonshineForAudioClassification
from ser.models.whisper import WhisperForAudioClassification

WAVEFORM = "waveform"

HEAD = ("projector.", "classifier.", "attention.", "layer_weights")
"""Names of the tensors that fine-tuning adds."""

PRETRAINING = ("lm_head.", "quantizer.", "project_hid.", "project_q.")
"""Heads of recognition and of pretraining that a checkpoint of the wav2vec2 line may bring."""


def normalizes_over_time(config: PretrainedConfig) -> bool:
    """Return whether the CNN has a group norm, which averages over the whole input."""
    return getattr(config, "feat_extract_norm", "layer") == "group"


def always(config: PretrainedConfig) -> bool:
    return True


def never(config: PretrainedConfig) -> bool:
    return False


def waveform_extractor(config: PretrainedConfig) -> SequenceFeatureExtractor:
    return Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=not normalizes_over_time(config))


def moonshine_extractor(config: PretrainedConfig) -> SequenceFeatureExtractor:
    return Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=True)


def whisper_extractor(config: PretrainedConfig) -> SequenceFeatureExtractor:
    return WhisperFeatureExtractor(feature_size=config.num_mel_bins, return_attention_mask=True)


def w2v_bert_extractor(config: PretrainedConfig) -> SequenceFeatureExtractor:
    return SeamlessM4TFeatureExtractor(feature_size=80, num_mel_bins=80)


def wav2vec2_cnn(classifier: Any, waveforms: torch.Tensor) -> torch.Tensor:
    """Compute the output `(batch, channels, frames)` of the one module that holds all convolutions."""
    output: torch.Tensor = classifier.base_model.feature_extractor(waveforms)
    return output


def moonshine_cnn(classifier: Any, waveforms: torch.Tensor) -> torch.Tensor:
    """Compute the output of the third convolution, before its activation, which the encoder itself calls."""
    encoder = classifier.encoder
    hidden_states = encoder.groupnorm(nn.functional.tanh(encoder.conv1(waveforms[:, None])))
    output: torch.Tensor = encoder.conv3(nn.functional.gelu(encoder.conv2(hidden_states)))
    return output


@dataclass(frozen=True)
class Architecture:
    """What is particular to one architecture of transformers."""

    classifier: type[PreTrainedModel]
    layers: str
    """Prefix of the transformer layers; a number follows."""
    cnn: tuple[str, ...]
    """Prefixes of the convolutions in front of the layers; empty: there are none."""
    depends_on_padding: Callable[[PretrainedConfig], bool]
    """Whether padding changes a prediction in spite of a mask: a group norm in the CNN averages over the whole input,
    and the stacked positional convolutions of data2vec read beyond the end of a clip."""
    other_tasks: tuple[str, ...] = PRETRAINING
    """Prefixes of tensors that a checkpoint may have and a classifier does not need."""
    untrained: tuple[str, ...] = ("masked_spec_embed",)
    """Encoder tensors that a published checkpoint may lack. wav2vec2-base-960h came without the vector that SpecAugment
    writes over masked frames; it is used in training alone, so it may start at random."""
    lora: tuple[str, ...] = ("q_proj", "v_proj")
    """The linear maps that LoRA adapts."""
    stock: bool = True
    """Whether transformers has a class that gives the same predictions with mean pooling."""
    preprocessing: str = WAVEFORM
    """Input of the encoder: a waveform, or the features of its extractor by their name in an exported model."""
    default_extractor: Callable[[PretrainedConfig], SequenceFeatureExtractor] = waveform_extractor
    """Makes the feature extractor of an encoder that no checkpoint brings one for."""
    time_axis: int = 1
    """Axis of the input that counts time."""
    layers_key: str = "num_hidden_layers"
    """Key of config.json with the number of transformer layers."""
    hop: int = 320
    """Samples at 16 kHz from one frame to the next."""
    wav2vec2_layout: bool = True
    """Whether the convolutions are one module `feature_extractor`, and the layers belong to a module `encoder`."""
    run_cnn: Callable[[Any, torch.Tensor], torch.Tensor] = wav2vec2_cnn
    """Computes the output `(batch, channels, frames)` of the convolutions for waveforms `(batch, samples)`."""
    masks_within_clips: bool = True
    """Whether transformers samples SpecAugment's spans by the true length of a clip rather than the padded one, where
    the encoder gets an attention mask."""

    @property
    def takes_features(self) -> bool:
        """Whether the input is features of the extractor rather than a waveform."""
        return self.preprocessing != WAVEFORM

    def cnn_channels(self, config: PretrainedConfig) -> int:
        """Return the number of channels of the CNN's output."""
        return int(config.conv_dim[-1] if self.wav2vec2_layout else config.hidden_size)


ARCHITECTURES = {
    "wav2vec2": Architecture(
        classifiers.Wav2Vec2ForSequenceClassification,
        layers="wav2vec2.encoder.layers.",
        cnn=("wav2vec2.feature_extractor.",),
        depends_on_padding=normalizes_over_time,
    ),
    "hubert": Architecture(
        classifiers.HubertForSequenceClassification,
        layers="hubert.encoder.layers.",
        cnn=("hubert.feature_extractor.",),
        depends_on_padding=normalizes_over_time,
        masks_within_clips=False,  # transformers does not pass the mask on
    ),
    "wavlm": Architecture(
        classifiers.WavLMForSequenceClassification,
        layers="wavlm.encoder.layers.",
        cnn=("wavlm.feature_extractor.",),
        depends_on_padding=normalizes_over_time,
        # Its attention reads the weights of its projections and bypasses the modules: LoRA there has no effect.
        lora=("intermediate_dense", "output_dense"),
    ),
    "data2vec-audio": Architecture(
        classifiers.Data2VecAudioForSequenceClassification,
        layers="data2vec_audio.encoder.layers.",
        cnn=("data2vec_audio.feature_extractor.",),
        depends_on_padding=always,
    ),
    "unispeech-sat": Architecture(
        classifiers.UniSpeechSatForSequenceClassification,
        layers="unispeech_sat.encoder.layers.",
        cnn=("unispeech_sat.feature_extractor.",),
        depends_on_padding=normalizes_over_time,
        other_tasks=(*PRETRAINING, "speaker_proj.", "label_embeddings_concat", "layer_norm_for_extract."),
    ),
    "wav2vec2-bert": Architecture(
        classifiers.Wav2Vec2BertForSequenceClassification,
        layers="wav2vec2_bert.encoder.layers.",
        cnn=(),
        depends_on_padding=never,
        lora=("linear_q", "linear_v"),
        preprocessing="filter_banks",
        default_extractor=w2v_bert_extractor,
    ),
    "whisper": Architecture(
        WhisperForAudioClassification,
        layers="encoder.layers.",
        cnn=("encoder.conv1.", "encoder.conv2."),
        depends_on_padding=never,
        other_tasks=("model.decoder.", "decoder.", "proj_out."),
        untrained=(),
        stock=False,
        layers_key="encoder_layers",
        preprocessing="log_mel",
        default_extractor=whisper_extractor,
        time_axis=2,
    ),
    "moonshine": Architecture(
        MoonshineForAudioClassification,
        layers="encoder.layers.",
        cnn=("encoder.conv1.", "encoder.conv2.", "encoder.conv3.", "encoder.groupnorm."),
        depends_on_padding=always,
        other_tasks=("model.decoder.", "decoder.", "proj_out."),
        untrained=(),
        stock=False,
        layers_key="encoder_num_hidden_layers",
        hop=384,
        default_extractor=moonshine_extractor,
        wav2vec2_layout=False,
        run_cnn=moonshine_cnn,
    ),
}
"""By `model_type` of config.json."""


def find_architecture(config: PretrainedConfig, source: str = "config.json") -> Architecture:
    """Return the architecture of a checkpoint.

    Args:
        config: of the encoder or of a classifier on it.
        source: the name of the checkpoint in the error.

    Raises:
        UserError: an architecture that the package does not know.
    """
    if config.model_type not in ARCHITECTURES:
        choices = ", ".join(sorted(ARCHITECTURES))
        raise UserError(f"{source}: unknown model_type '{config.model_type}'; choices: {choices}")
    return ARCHITECTURES[config.model_type]


def find_layers(classifier: PreTrainedModel) -> nn.Module:
    """Return the list of the transformer layers of a classifier's encoder."""
    return classifier.get_submodule(find_architecture(classifier.config).layers.removesuffix("."))


def depends_on_padding(config: PretrainedConfig) -> bool:
    """Return whether a prediction depends on the padding of the batch, so that clips must be scored without any."""
    return find_architecture(config).depends_on_padding(config)
