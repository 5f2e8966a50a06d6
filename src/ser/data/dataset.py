"""Clips -> padded batches, straight from the mapped cache."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from ser.data.audio import SAMPLE_RATE
from ser.data.audio_file import Int16
from ser.data.batches import MINIMUM, Numbers
from ser.data.silence import speech_span

if TYPE_CHECKING:  # who answers recordings needs no corpus, nor what opens one
    from ser.data.manifest import Utterance
    from ser.data.prepared_corpus import PreparedCorpus


Samples = Int16 | npt.NDArray[np.float32]
"""`(samples,)` at 16 kHz; float32 of full scale 1.0."""


class Example(TypedDict):
    samples: Samples
    label: int
    clip: int
    """Its place in the list."""


class WaveformDataset(Dataset[Example]):
    """Some recordings of a prepared corpus: int16 views of the cache and class indices."""

    def __init__(self, prepared: "PreparedCorpus", utterances: "Sequence[Utterance]", trim: bool) -> None:
        """Take the recordings; `trim` leaves out the silence before and after the speech of each.

        A clip's speech is looked for once, here: 25 us a clip, so that no epoch pays for it again. Without `trim` no
        sample is read before it is used.
        """
        self.utterances = prepared.rows(utterances)
        self._audio, self._places = prepared.audio, prepared.indices(self.utterances)
        self._spans = np.stack([np.zeros_like(self._places), self._audio.lengths()[self._places]], axis=1)
        if trim:
            for span, place in zip(self._spans, self._places.tolist(), strict=True):
                span[:] = speech_span(self._audio.samples(place))
        codes, emotions = self.utterances.codes("emotion")
        self._labels = np.array([prepared.emotions.index(emotion) for emotion in emotions], dtype=np.int64)[codes]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Example:
        start, stop = self._spans[index].tolist()
        samples = self._audio.samples(int(self._places[index]))[start:stop]
        return {"samples": samples, "label": int(self._labels[index]), "clip": index}

    def lengths(self) -> Numbers:
        """Return the samples of each clip at 16 kHz, without what is trimmed, `(clips,)`."""
        lengths: Numbers = self._spans[:, 1] - self._spans[:, 0]
        return lengths

    def labels(self) -> Numbers:
        """Return the class index of each clip, `(clips,)`."""
        return self._labels


def to_float(samples: Samples) -> npt.NDArray[np.float32]:
    """Return samples as float32 of full scale 1.0."""
    values = samples.astype(np.float32)
    return values / np.float32(32768) if samples.dtype == np.int16 else values


@dataclass(frozen=True)
class WaveformCollator:
    """Pad clips to the longest of the batch.

    Returns:
        `input_values` `(batch, samples)` float32, `attention_mask` `(batch, samples)` int64 and `labels` `(batch,)`:
        the output of `Wav2Vec2FeatureExtractor`, without its detour through lists.
    """

    do_normalize: bool
    """Bring each clip to zero mean and unit variance, before padding, as the encoder was pretrained."""

    def __call__(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        longest = max(MINIMUM, *(len(example["samples"]) for example in examples))
        values = np.zeros((len(examples), longest), dtype=np.float32)
        mask = np.zeros((len(examples), longest), dtype=np.int64)
        for row, example in enumerate(examples):
            clip = to_float(example["samples"])
            if self.do_normalize:
                clip = (clip - clip.mean()) / np.sqrt(clip.var() + 1e-7)
            values[row, : len(clip)] = clip
            mask[row, : len(clip)] = 1
        return {
            "input_values": torch.from_numpy(values),
            "attention_mask": torch.from_numpy(mask),
            "labels": torch.tensor([example["label"] for example in examples]),
        }


@dataclass(frozen=True)
class ExtractorCollator:
    """Compute the features of clips with the extractor of transformers, for an encoder that takes no waveform.

    Returns:
        `input_features`, `attention_mask` `(batch, time)` int64, and `labels` `(batch,)`. What the extractor pads
        beyond the longest clip of the batch (Whisper's to 30 s) is cut off.
    """

    extractor: Any

    def __call__(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        clips = [to_float(example["samples"]) for example in examples]
        padded = [np.pad(clip, (0, max(0, MINIMUM - len(clip)))) for clip in clips]
        made = self.extractor(padded, sampling_rate=SAMPLE_RATE, return_tensors="pt", return_attention_mask=True)
        features, mask = made["input_features"], made["attention_mask"].long()
        longest = int(mask.sum(dim=-1).max())
        time = features.shape.index(mask.shape[1], 1)  # the last axis of Whisper's, the middle one of wav2vec2-BERT's
        return {
            "input_features": features.narrow(time, 0, longest),
            "attention_mask": mask[:, :longest],
            "labels": torch.tensor([example["label"] for example in examples]),
        }


def collator_for(extractor: Any) -> WaveformCollator | ExtractorCollator:
    """Return the collator that equals a checkpoint's feature extractor."""
    if extractor.model_input_names[0] == "input_features":
        return ExtractorCollator(extractor)
    return WaveformCollator(extractor.do_normalize)


def iterate_batches(
    clips: WaveformDataset, batches: Sequence[Sequence[int]], collator: WaveformCollator | ExtractorCollator
) -> Iterator[dict[str, Any]]:
    """Yield the collated batches."""
    for batch in batches:
        yield collator([clips[index] for index in batch])
