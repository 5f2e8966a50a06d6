"""Look at, listen to and time the augmentation of training clips.

    python scripts/augmentation.py RAVDESS/Actor_01/*01.wav --out FOLDER

Writes for each recording a figure of spectrograms and a WAV file for each effect and for draws of `augment=light` and
`strong`, and prints what each costs for a clip of 3.7 s with one thread.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import soundfile
import torch
from hydra import compose, initialize_config_dir
from matplotlib.figure import Figure
from tabulate import tabulate

from ser.apps import CONFIGS, checked
from ser.augmentation import effects
from ser.augmentation.draw import Augmenter, seeded_generator, single_threaded
from ser.augmentation.mixing import fit, mix
from ser.augmentation.noise import coloured_noise
from ser.augmentation.rooms import simulate_response
from ser.config import Augment, Train
from ser.data import audio
from ser.data.audio import SAMPLE_RATE
from ser.data.audio_file import Int16

Effect = Callable[[torch.Tensor], torch.Tensor]

DRAWS = 2
"""Epochs that are drawn of each choice of `augment`."""
TIMED = (30, 3.7)
"""Repetitions, and seconds of the clip: the mean of RAVDESS."""
FLOOR = 80.0
"""Decibels below the loudest part of a clip at which the figures end."""


class Recordings:
    """The recordings as training clips."""

    def __init__(self, clips: list[Int16]) -> None:
        self.clips = clips

    def __getitem__(self, index: int) -> dict[str, Int16]:
        return {"samples": self.clips[index]}

    def lengths(self) -> np.ndarray:
        return np.array([len(clip) for clip in self.clips])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True, help="a folder for the figures and the WAV files")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    clips = [audio.load(path).samples for path in given.recordings]
    for index, path in enumerate(given.recordings):
        changed = change(clips, index)
        for name, waveform in changed.items():
            target = given.out / f"{path.stem}-{name.replace(' ', '_')}.wav"
            soundfile.write(target, np.clip(waveform, -1, 1), SAMPLE_RATE, subtype="PCM_16")
        draw(changed, path.stem).savefig(given.out / f"{path.stem}.png", dpi=110)
    print(tabulate(measure(clips[0]), headers=["effect", "ms a clip"], tablefmt="github", floatfmt=".2f"))


def choose(name: str) -> Augment:
    """Return the settings of a choice of `augment`."""
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        return checked(compose("train", [f"augment={name}"]), Train).augment


def list_effects() -> dict[str, Effect]:
    """Return each effect with values that training draws."""

    def noisy(exponent: float, snr: float) -> Effect:
        generator = seeded_generator((0,))
        return lambda clip: effects.add_noise(clip, coloured_noise(len(clip), exponent, generator), snr)

    def room(reverberation_time: float) -> Effect:
        generator = seeded_generator((1,))
        return lambda clip: effects.reverberate(clip, simulate_response(reverberation_time, 3.0, generator))

    return {
        "speed 0.9": lambda clip: effects.change_speed(clip, 0.9),
        "speed 1.1": lambda clip: effects.change_speed(clip, 1.1),
        "pitch -2": lambda clip: effects.shift_pitch(clip, -2),
        "pitch +2": lambda clip: effects.shift_pitch(clip, 2),
        "level -6 dB": lambda clip: effects.scale_level(clip, -6),
        "white 10 dB": noisy(0, 10),
        "pink 10 dB": noisy(1, 10),
        "brown 10 dB": noisy(2, 10),
        "room 0.4 s": room(0.4),
        "room 0.8 s": room(0.8),
        "telephone": effects.limit_to_telephone_band,
        "mu-law": effects.quantize_mu_law,
    }


def change(clips: list[Int16], index: int) -> dict[str, np.ndarray]:
    """Return a clip as it is, under each effect, mixed with the next one, and as it is drawn for training."""
    clip = clips[index].astype(np.float32) / 32768
    changed = {"original": clip}
    for name, effect in list_effects().items():
        changed[name] = effect(torch.from_numpy(clip)).numpy()
    other = clips[(index + 1) % len(clips)].astype(np.float32) / 32768
    changed["mixup 0.3"] = 0.7 * clip + 0.3 * fit(other, clip)
    for name in ("light", "strong"):
        augmenter = Augmenter(choose(name), 0, Recordings(clips))
        for epoch in range(DRAWS):
            changed[f"{name} {epoch}"] = augmenter.draw(clips[index], index, epoch)
    return changed


def draw(changed: dict[str, np.ndarray], title: str) -> Figure:
    """Draw the spectrogram of each waveform, all on one scale."""
    columns = 3
    rows = -(-len(changed) // columns)
    figure = Figure(figsize=(4.2 * columns, 1.9 * rows), layout="constrained")
    figure.suptitle(title)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    window, hop = torch.hann_window(512), 128
    loudest = max(float(spectrum(waveform, window, hop).max()) for waveform in changed.values())
    longest = max(map(len, changed.values())) / SAMPLE_RATE
    for axes in panels.flat[len(changed) :]:
        axes.set_visible(False)
    for axes, (name, waveform) in zip(panels.flat, changed.items(), strict=False):
        image = axes.imshow(
            spectrum(waveform, window, hop),
            origin="lower", aspect="auto", cmap="magma", vmin=loudest - FLOOR, vmax=loudest,
            extent=(0, len(waveform) / SAMPLE_RATE, 0, SAMPLE_RATE / 2000),
        )  # fmt: skip
        axes.set_title(name, fontsize=10)
        axes.set_xlim(0, longest)
        axes.set_facecolor("#dddddd")  # after the end of the clip
    for axes in panels[-1]:
        axes.set_xlabel("seconds")
    for axes in panels[:, 0]:
        axes.set_ylabel("kHz")
    figure.colorbar(image, ax=panels, label="dB", shrink=0.4)
    return figure


def spectrum(waveform: np.ndarray, window: torch.Tensor, hop: int) -> np.ndarray:
    """Return the power of a waveform in decibels, `(frequencies, frames)`."""
    found = torch.stft(torch.from_numpy(waveform), len(window), hop, window=window, return_complex=True)
    return (10 * torch.log10(found.abs().square() + 1e-12)).numpy()


def measure(clip: Int16) -> list[tuple[str, float]]:
    """Return the milliseconds of each effect for a clip of 3.7 s, and of a draw of each choice of `augment`."""
    samples = round(TIMED[1] * SAMPLE_RATE)
    clip = np.tile(clip, -(-samples // len(clip)))[:samples]
    waveform = torch.from_numpy(clip.astype(np.float32) / 32768)
    rows = [(name, milliseconds(lambda _, effect=effect: effect(waveform))) for name, effect in list_effects().items()]
    for name in ("light", "strong"):
        augmenter = Augmenter(choose(name), 0, Recordings([clip]))
        drawn = milliseconds(lambda epoch, augmenter=augmenter: augmenter.draw(clip, 0, epoch), mean=True)
        rows.append((f"augment={name}, mean of draws", drawn))
    batch, strong = [waveform.numpy()] * 8, choose("strong")
    rows.append(("mixup, a clip of a batch of 8", milliseconds(lambda number: mix(batch, strong, (number,))) / 8))
    return rows


def milliseconds(call: Callable[[int], object], mean: bool = False) -> float:
    """Return the median, or the mean, of the processor time of a call, which other processes do not lengthen."""
    times = []
    with single_threaded():
        for number in range(TIMED[0]):
            began = time.thread_time()
            call(number)
            times.append(1000 * (time.thread_time() - began))
    return float(np.mean(times)) if mean else median(times)


if __name__ == "__main__":
    main()
