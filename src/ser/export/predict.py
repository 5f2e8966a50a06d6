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
from model_inputs import PREPARE, Preprocessing  # type: ignore[import-not-found]  # beside this file
from trim import cut_silence  # type: ignore[import-not-found]  # ser.data.silence, beside this file

HERE = Path(__file__).parent
Array = npt.NDArray[Any]

ABOUT = json.loads((HERE / "ser.json").read_text(encoding="utf-8"))
FILTERS = np.load(HERE / "mel_filters.npy") if (HERE / "mel_filters.npy").is_file() else None
GIVEN = Preprocessing(ABOUT["shortest"], ABOUT["do_normalize"], FILTERS)


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
    return cut_silence(samples) if ABOUT["trim"] else samples


def softmax(logits: Array) -> Array:
    exponentials = np.exp(logits - logits.max())
    return np.asarray(exponentials / exponentials.sum())


def sigmoid(logits: Array) -> Array:
    return np.asarray(0.5 * (1 + np.tanh(logits / 2)))


ACTIVATIONS = {"softmax": softmax, "sigmoid": sigmoid}


def main() -> None:
    session = onnxruntime.InferenceSession(HERE / ABOUT["model"], providers=["CPUExecutionProvider"])
    for path in sys.argv[1:]:
        inputs, mask = PREPARE[ABOUT["prepare"]](read_samples(path), GIVEN)
        logits = session.run(["logits"], {ABOUT["input"]: inputs, "attention_mask": mask})[0][0]
        probabilities = ACTIVATIONS[ABOUT["activation"]](logits)
        print(path)
        for probability, label in sorted(zip(probabilities, ABOUT["labels"], strict=True), reverse=True):
            print(f"  {label:<10} {probability:.4f}")


if __name__ == "__main__":
    main()
