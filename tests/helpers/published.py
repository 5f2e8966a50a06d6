"""A tiny checkpoint of each family, in the layout in which real ones are published: with the head of another task."""

import torch
from transformers import (
    Data2VecAudioConfig,
    Data2VecAudioForCTC,
    HubertConfig,
    HubertForCTC,
    MoonshineConfig,
    MoonshineForConditionalGeneration,
    SeamlessM4TFeatureExtractor,
    UniSpeechSatConfig,
    UniSpeechSatForPreTraining,
    Wav2Vec2BertConfig,
    Wav2Vec2BertForCTC,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2ForPreTraining,
    WavLMConfig,
    WavLMModel,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

WIDTH = dict(hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=48)
CNN = dict(conv_dim=(16,) * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2, vocab_size=32)
QUIET = dict(
    layerdrop=0.0, mask_time_prob=0.0, hidden_dropout=0.0, attention_dropout=0.0, activation_dropout=0.0,
    feat_proj_dropout=0.0,
)  # fmt: skip
LAYER = dict(feat_extract_norm="layer", do_stable_layer_norm=True, conv_bias=True)
# What the Turkish XLS-R-1B brings with it.
TURKISH = dict(mask_time_prob=0.3, mask_feature_prob=0.1, mask_feature_length=16)
SPEECH = Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True)
WHISPER = dict(
    d_model=32, encoder_layers=3, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
    encoder_ffn_dim=48, decoder_ffn_dim=48, num_mel_bins=80, vocab_size=64, pad_token_id=0, bos_token_id=1,
    eos_token_id=2, decoder_start_token_id=1,
)  # fmt: skip
MOONSHINE = dict(
    hidden_size=32, intermediate_size=48, encoder_num_hidden_layers=3, decoder_num_hidden_layers=1,
    encoder_num_attention_heads=2, decoder_num_attention_heads=2, encoder_num_key_value_heads=2,
    decoder_num_key_value_heads=2, vocab_size=64,
)  # fmt: skip

PUBLISHED = {
    "wav2vec2-base": lambda: (Wav2Vec2ForCTC(Wav2Vec2Config(**WIDTH, **CNN, **QUIET)), SPEECH),
    "xls-r": lambda: (Wav2Vec2ForPreTraining(Wav2Vec2Config(**WIDTH, **CNN, **QUIET, **LAYER)), SPEECH),
    "xls-r-turkish": lambda: (
        Wav2Vec2ForCTC(Wav2Vec2Config(**WIDTH, **CNN, **{**QUIET, **TURKISH}, **LAYER)),
        SPEECH,
    ),
    "hubert": lambda: (HubertForCTC(HubertConfig(**WIDTH, **CNN, **QUIET, **LAYER)).half(), SPEECH),
    "wavlm": lambda: (WavLMModel(WavLMConfig(**WIDTH, **CNN, **QUIET, **LAYER)), SPEECH),
    "data2vec": lambda: (Data2VecAudioForCTC(Data2VecAudioConfig(**WIDTH, **CNN, **QUIET)), SPEECH),
    "unispeech-sat": lambda: (UniSpeechSatForPreTraining(UniSpeechSatConfig(**WIDTH, **CNN, **QUIET, **LAYER)), SPEECH),
    "w2v-bert": lambda: (
        Wav2Vec2BertForCTC(Wav2Vec2BertConfig(**WIDTH, vocab_size=32, **{**QUIET, "conformer_conv_dropout": 0.0})),
        SeamlessM4TFeatureExtractor(feature_size=80, num_mel_bins=80),
    ),
    "whisper": lambda: (
        WhisperForConditionalGeneration(WhisperConfig(**WHISPER, dropout=0.0)),
        WhisperFeatureExtractor(feature_size=80),
    ),
    "moonshine": lambda: (
        MoonshineForConditionalGeneration(MoonshineConfig(**MOONSHINE)),
        Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=True),
    ),
}


def publish(name, folder):
    """Write a published checkpoint; the Turkish one as pytorch_model.bin alone."""
    torch.manual_seed(0)
    model, extractor = PUBLISHED[name]()
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)
    if name == "xls-r-turkish":
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
    return folder
