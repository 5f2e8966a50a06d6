"""What a family of encoders needs, in one table."""

from collections.abc import Callable
from dataclasses import dataclass

from transformers import PretrainedConfig, PreTrainedModel

from ser.errors import UserError
from ser.models import classifiers
from ser.models.moonshine import MoonshineForAudioClassification
from ser.models.whisper import WhisperForAudioClassification

HEAD = ("projector.", "classifier.", "attention.", "layer_weights")
"""Names of the tensors that fine-tuning makes anew."""

PRETRAINING = ("lm_head.", "quantizer.", "project_hid.", "project_q.")
"""Heads of recognition and of pretraining that a checkpoint of the wav2vec2 line may bring."""


def by_its_config(config: PretrainedConfig) -> bool:
    return bool(config.feat_extract_norm == "group")


def always(config: PretrainedConfig) -> bool:
    return True


def never(config: PretrainedConfig) -> bool:
    return False


@dataclass(frozen=True)
class Architecture:
    """One architecture of the library."""

    classifier: type[PreTrainedModel]
    layers: str
    """Prefix of the transformer layers; a number follows."""
    cnn: tuple[str, ...]
    """Prefixes of the convolutions in front of the layers; empty: there are none."""
    depends_on_padding: Callable[[PretrainedConfig], bool]
    """Whether padding changes the answer, mask or no mask: a group norm in the CNN averages over the whole input, and
    the stacked positional convolutions of data2vec read beyond the end of a clip."""
    other_tasks: tuple[str, ...] = PRETRAINING
    """Prefixes of tensors that a checkpoint may bring and a classifier has no use for."""
    untrained: tuple[str, ...] = ("masked_spec_embed",)
    """Encoder tensors that a published checkpoint may lack. wav2vec2-base-960h came without the vector that SpecAugment
    writes over masked frames; it is used in training alone, so it may start at random."""
    lora: tuple[str, ...] = ("q_proj", "v_proj")
    """The linear maps that LoRA adapts."""
    stock: bool = True
    """Whether the library has a class that gives the same answers with mean pooling."""
    features: bool = False
    """Whether the encoder takes features of the library's extractor rather than a waveform."""
    hop: int = 320
    """Samples at 16 kHz from one frame to the next."""


ARCHITECTURES = {
    "wav2vec2": Architecture(
        classifiers.Wav2Vec2ForSequenceClassification,
        layers="wav2vec2.encoder.layers.",
        cnn=("wav2vec2.feature_extractor.",),
        depends_on_padding=by_its_config,
    ),
    "hubert": Architecture(
        classifiers.HubertForSequenceClassification,
        layers="hubert.encoder.layers.",
        cnn=("hubert.feature_extractor.",),
        depends_on_padding=by_its_config,
    ),
    "wavlm": Architecture(
        classifiers.WavLMForSequenceClassification,
        layers="wavlm.encoder.layers.",
        cnn=("wavlm.feature_extractor.",),
        depends_on_padding=by_its_config,
        # Its attention reads the weights of its projections and never calls them, so an adapter there is not heard.
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
        depends_on_padding=by_its_config,
        other_tasks=(*PRETRAINING, "speaker_proj.", "label_embeddings_concat", "layer_norm_for_extract."),
    ),
    "wav2vec2-bert": Architecture(
        classifiers.Wav2Vec2BertForSequenceClassification,
        layers="wav2vec2_bert.encoder.layers.",
        cnn=(),
        depends_on_padding=never,
        lora=("linear_q", "linear_v"),
        features=True,
    ),
    "whisper": Architecture(
        WhisperForAudioClassification,
        layers="encoder.layers.",
        cnn=("encoder.conv1.", "encoder.conv2."),
        depends_on_padding=never,
        other_tasks=("model.decoder.", "decoder.", "proj_out."),
        untrained=(),
        stock=False,
        features=True,
    ),
    "moonshine": Architecture(
        MoonshineForAudioClassification,
        layers="encoder.layers.",
        cnn=("encoder.conv1.", "encoder.conv2.", "encoder.conv3.", "encoder.groupnorm."),
        depends_on_padding=always,
        other_tasks=("model.decoder.", "decoder.", "proj_out."),
        untrained=(),
        stock=False,
        hop=384,
    ),
}
"""By `model_type` of config.json."""


def find_architecture(config: PretrainedConfig, source: str) -> Architecture:
    """The family of a checkpoint.

    Raises:
        UserError: an architecture that the package does not know.
    """
    if config.model_type not in ARCHITECTURES:
        raise UserError(
            f"{source}: unknown model_type '{config.model_type}'; choices: {', '.join(sorted(ARCHITECTURES))}"
        )
    return ARCHITECTURES[config.model_type]


def depends_on_padding(config: PretrainedConfig) -> bool:
    """Whether the answer to a clip depends on the padding of its batch, so that it must be scored without any."""
    return ARCHITECTURES[config.model_type].depends_on_padding(config)
