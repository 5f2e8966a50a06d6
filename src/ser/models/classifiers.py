"""The library's classification models with the forward of `heads.py`.

Each carries the name of its parent because the name is written into config.json: with mean pooling a checkpoint loads
in stock transformers, with the same tensors. This file imports nothing of `ser`: with another pooling it travels with
the checkpoint.
"""

import torch
from transformers.models.data2vec import modeling_data2vec_audio
from transformers.models.hubert import modeling_hubert
from transformers.models.unispeech_sat import modeling_unispeech_sat
from transformers.models.wav2vec2 import modeling_wav2vec2
from transformers.models.wav2vec2_bert import modeling_wav2vec2_bert
from transformers.models.wavlm import modeling_wavlm

from .heads import PooledHead


class Wav2Vec2ForSequenceClassification(PooledHead, modeling_wav2vec2.Wav2Vec2ForSequenceClassification):
    """wav2vec 2.0 (arXiv 2006.11477), XLS-R (arXiv 2111.09296) and MMS (arXiv 2305.13516)."""


class HubertForSequenceClassification(PooledHead, modeling_hubert.HubertForSequenceClassification):
    """HuBERT (arXiv 2106.07447)."""


class WavLMForSequenceClassification(PooledHead, modeling_wavlm.WavLMForSequenceClassification):
    """WavLM (arXiv 2110.13900)."""


class Data2VecAudioForSequenceClassification(
    PooledHead, modeling_data2vec_audio.Data2VecAudioForSequenceClassification
):
    """data2vec audio (arXiv 2202.03555)."""


class UniSpeechSatForSequenceClassification(PooledHead, modeling_unispeech_sat.UniSpeechSatForSequenceClassification):
    """UniSpeech-SAT (arXiv 2110.05752)."""


class Wav2Vec2BertForSequenceClassification(PooledHead, modeling_wav2vec2_bert.Wav2Vec2BertForSequenceClassification):
    """wav2vec2-BERT 2.0 (arXiv 2312.05187): filter banks `(batch, time, 160)` in, a frame for each."""

    def input_mask(self, inputs: torch.Tensor, attention_mask: torch.Tensor | None) -> torch.Tensor:
        return super().input_mask(inputs[..., 0], attention_mask)

    def frames(self, lengths: torch.Tensor) -> torch.Tensor:
        return lengths.long()
