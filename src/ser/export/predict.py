"""Predict the emotion in 16 kHz mono WAV files: python predict.py CLIP.wav ...

Needs numpy and onnxruntime, and the files beside it.
"""

import json
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from trim import speech_span  # type: ignore[import-not-found]  # ser.data.silence, beside this file

HERE = Path(__file__).parent
Array = npt.NDArray[Any]

ABOUT = json.loads((HERE / "ser.json").read_text(encoding="utf-8"))


def read_samples(path: str) -> Array:
    """Return the int16 samples of a WAV file, without the silence at its ends if the model was trained without it."""
    try:
        with wave.open(path) as file:
            found = file.getframerate(), file.getnchannels(), 8 * file.getsampwidth()
            data = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        sys.exit(f"{path}: {str(error) or 'it ends too soon'}")
    if found != (ABOUT["sample_rate"], 1, 16) or not data:
        sys.exit(f"{path}: {found} hertz, channels and bits, {len(data)} bytes; the model takes (16000, 1, 16)")
    samples = np.frombuffer(data, dtype="<i2")
    return samples[slice(*speech_span(samples))] if ABOUT["trim"] else samples


def waveform(samples: Array) -> tuple[Array, Array]:
    """Return the waveform `(1, samples)`, and a mask that is 1 for the clip and 0 for padding."""
    clip = samples.astype(np.float32) / 32768
    if ABOUT["do_normalize"]:
        clip = (clip - clip.mean()) / np.sqrt(clip.var() + 1e-7)
    padding = (0, max(0, ABOUT["shortest"] - len(clip)))
    return np.pad(clip, padding)[None], np.pad(np.ones(len(clip), dtype=np.int64), padding)[None]


def cut_frames(clip: Array) -> Array:
    """Return windows of 25 ms, 10 ms apart."""
    return np.lib.stride_tricks.sliding_window_view(clip, 400)[::160].astype(np.float64)


def log_mel(samples: Array) -> tuple[Array, Array]:
    """Return the log-mel features of Whisper: `(1, mels, time)` of at most 30 s, 10 ms a step."""
    clip = pad(samples)[:480_000]
    whole = np.pad(np.pad(clip, (0, 480_000 - len(clip))), 200, mode="reflect")
    spectrum = np.abs(np.fft.rfft(cut_frames(whole)[:-1] * np.hanning(401)[:-1])) ** 2
    mels = np.log10(np.maximum(spectrum @ np.load(HERE / "mel_filters.npy"), 1e-10))
    mels = (np.maximum(mels, mels.max() - 8) + 4) / 4
    steps = -(-len(clip) // 160)
    return mels[:steps].T[None].astype(np.float32), np.ones((1, steps), dtype=np.int64)


def filter_banks(samples: Array) -> tuple[Array, Array]:
    """Return the filter banks of wav2vec2-BERT: `(1, time, 160)`, two steps of 10 ms side by side."""
    frames = cut_frames(pad(samples) * 32768)
    frames -= frames.mean(axis=1, keepdims=True)
    frames = np.concatenate([0.03 * frames[:, :1], frames[:, 1:] - 0.97 * frames[:, :-1]], axis=1)
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(400) ** 0.85, 512)) ** 2
    mels = np.log(np.maximum(spectrum @ np.load(HERE / "mel_filters.npy"), 1.192092955078125e-07))
    mels = (mels - mels.mean(axis=0)) / np.sqrt(mels.var(axis=0, ddof=1) + 1e-7)
    pairs = mels[: len(mels) // 2 * 2].reshape(1, len(mels) // 2, -1).astype(np.float32)
    return pairs, np.ones(pairs.shape[:2], dtype=np.int64)


def pad(samples: Array) -> Array:
    return np.pad(samples.astype(np.float32) / 32768, (0, max(0, ABOUT["shortest"] - len(samples))))


PREPARE = {"waveform": waveform, "log_mel": log_mel, "filter_banks": filter_banks}


def softmax(logits: Array) -> Array:
    exponentials = np.exp(logits - logits.max())
    return np.asarray(exponentials / exponentials.sum())


def sigmoid(logits: Array) -> Array:
    return np.asarray(0.5 * (1 + np.tanh(logits / 2)))


ACTIVATIONS = {"softmax": softmax, "sigmoid": sigmoid}


def main() -> None:
    session = onnxruntime.InferenceSession(HERE / ABOUT["model"], providers=["CPUExecutionProvider"])
    for path in sys.argv[1:]:
        inputs, mask = PREPARE[ABOUT["prepare"]](read_samples(path))
        logits = session.run(["logits"], {ABOUT["input"]: inputs, "attention_mask": mask})[0][0]
        probabilities = ACTIVATIONS[ABOUT["activation"]](logits)
        print(path)
        for probability, label in sorted(zip(probabilities, ABOUT["labels"], strict=True), reverse=True):
            print(f"  {label:<10} {probability:.4f}")


if __name__ == "__main__":
    main()
