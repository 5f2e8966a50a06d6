"""A synthetic corpus shaped like RAVDESS: the same speakers, codes and folders, with artificial voices.

Every clip is a short babble of vowels. Its emotion shows only in how it is spoken (pitch, contour, rhythm,
attack, voice quality), after the acoustic correlates that the emotion literature reports.
"""

import functools
import io
import itertools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from ser.config.corpus import Corpus
from ser.corpora.facts import Facts, Format
from ser.corpora.ravdess import EMOTIONS, scan
from ser.files import replacing

__all__ = ["EMOTIONS", "FACTS", "generate", "make_root", "scan", "waveform"]

FACTS = Facts(
    description="SYNTHETIC corpus made by the package: RAVDESS-shaped names, no human speech",
    voices="artificial voices that babble vowels",
    synthetic=True,
    format=Format(sample_rate=16_000, shortest=0.2, longest=4.0),
    emotions=EMOTIONS,
)

SAMPLE_RATE = 16_000  # Hz
ACTORS = tuple(f"{actor:02d}" for actor in range(1, 25))  # odd male, even female
STATEMENTS = ("01", "02")
REPETITIONS = ("01", "02")
INTENSITIES = ("01", "02")  # normal, strong
STRONG = "02"
NEUTRAL = "01"  # the one emotion that has no strong intensity

STRONG_GAIN = 1.4  # a strong clip is this many times as far from neutral as a normal one
PEAK_RANGE = (0.15, 0.8)  # of full scale: the quietest and the loudest speaker's peak
SYLLABLE_SECONDS = 0.14  # of a syllable of weight 1 at neutral rate
FILTER_SAMPLES = 8192  # longer than any syllable and its ringing together
RINGING_SAMPLES = 1024  # after 64 ms the narrowest formant has decayed by more than 100 dB
FORMANT_BANDWIDTHS = (80.0, 110.0, 160.0)  # Hz
VOWEL_FORMANTS = {  # Hz, of a male voice of tract scale 1
    "a": (730.0, 1090.0, 2440.0),
    "e": (530.0, 1840.0, 2480.0),
    "i": (300.0, 2250.0, 3000.0),
    "o": (570.0, 840.0, 2410.0),
    "u": (320.0, 900.0, 2240.0),
}
SYLLABLES = {  # by statement: each syllable's vowel and its weight in the rhythm
    "01": (("i", 1.1), ("a", 0.7), ("o", 1.2), ("i", 0.8), ("a", 0.9), ("e", 0.6), ("o", 1.4)),
    "02": (("o", 1.2), ("a", 0.7), ("u", 0.8), ("i", 1.3), ("e", 0.6), ("a", 1.0), ("o", 1.3)),
}


class Style(NamedTuple):
    """The prosody of an utterance, the only difference between the emotions."""

    pitch: float  # octaves above the speaker's own pitch
    slope: float  # octaves gained from the first to the last sample
    arch: float  # octaves of the slow rise and fall, two of them in a clip
    final_rise: float  # octaves gained in the last third
    tremor: float  # octaves of the fast shake
    rate: float  # doublings of the syllable rate
    attack: float  # doublings of how early in a syllable its energy peaks
    brightness: float  # doublings of the frequency scale on which the harmonics die away
    breath: float  # noise beside the voice
    creak: float  # depth to which every other glottal pulse is weakened
    fade: float  # energy lost in the course of the clip, in nepers


STYLES = {  # by emotion code
    "01": Style(0.00, -0.15, 0.05, 0.0, 0.00, 0.00, 0.0, 0.0, 0.04, 0.0, 0.3),  # neutral
    "02": Style(-0.05, -0.03, 0.02, 0.0, 0.00, -0.20, -1.0, -0.5, 0.10, 0.0, 0.0),  # calm
    "03": Style(0.35, 0.00, 0.30, 0.0, 0.00, 0.20, 0.4, 0.55, 0.03, 0.0, 0.0),  # happy
    "04": Style(-0.15, -0.40, 0.02, 0.0, 0.01, -0.30, -0.5, -0.9, 0.20, 0.0, 1.2),  # sad
    "05": Style(0.20, -0.25, 0.05, 0.0, 0.00, 0.22, 1.2, 1.0, 0.05, 0.15, 0.3),  # angry
    "06": Style(0.50, 0.05, 0.03, 0.0, 0.12, 0.20, -0.1, -0.2, 0.30, 0.0, 0.2),  # fearful
    "07": Style(-0.15, -0.30, 0.08, 0.0, 0.00, -0.18, 0.2, 0.2, 0.08, 0.5, 0.6),  # disgust
    "08": Style(0.35, 0.10, 0.05, 0.8, 0.00, 0.00, 0.3, 0.0, 0.06, 0.0, -0.8),  # surprised
}
# How far two renderings of one emotion lie apart (standard deviations); it sets how hard the corpus is.
SPREAD = Style(0.05, 0.05, 0.03, 0.05, 0.01, 0.04, 0.1, 0.1, 0.015, 0.05, 0.12)


class Speaker(NamedTuple):
    """The traits that the clips of one actor share."""

    pitch: float  # Hz
    tract_scale: float  # factor on the formants
    peak: float  # of full scale
    tempo: float  # factor on the syllable rate
    brightness: float  # Hz over which the amplitude of the harmonics falls by 1/e


def make_root(corpus: Corpus, target: Path) -> Path:
    """Generate the corpus below a prepared folder, and return its root."""
    generate(target / "recordings")
    return target / "recordings"


def generate(root: Path) -> None:
    """Write the whole corpus, 1440 clips, as `root/synthetic/Actor_NN/MM-CC-EE-II-SS-RR-AA.wav`.

    A clip depends on its codes only. A file that already holds what would be written is left alone.

    Args:
        root: the corpus folder; made where it is missing. The files are mono 16-bit PCM at 16 kHz.
    """
    for codes in itertools.product(ACTORS, STYLES, INTENSITIES, STATEMENTS, REPETITIONS):
        actor, emotion, intensity, statement, repetition = codes
        if emotion == NEUTRAL and intensity == STRONG:
            continue
        path = (
            root / "synthetic" / f"Actor_{actor}" / f"03-01-{emotion}-{intensity}-{statement}-{repetition}-{actor}.wav"
        )
        content = io.BytesIO()
        samples = waveform(emotion, intensity, statement, repetition, actor)
        soundfile.write(content, samples, SAMPLE_RATE, subtype="PCM_16", format="WAV")
        if path.is_file() and path.read_bytes() == content.getvalue():
            continue
        with replacing(path) as temporary:
            temporary.write_bytes(content.getvalue())


def waveform(emotion: str, intensity: str, statement: str, repetition: str, actor: str) -> NDArray[np.float32]:
    """Synthesise one clip from its two-digit RAVDESS codes.

    Args:
        emotion: "01" to "08".
        intensity: "01" (normal) or "02" (strong).
        statement: "01" or "02".
        repetition: "01" or "02"; it only varies the chance deviations.
        actor: "01" to "24".

    Returns:
        Samples of shape (samples,) at 16 kHz, within -0.8 to 0.8.
    """
    codes = [int(code) for code in (emotion, intensity, statement, repetition, actor)]
    random = np.random.default_rng(codes)
    speaker = _speaker(int(actor))
    style = _style(emotion, intensity, random)
    vowels = [vowel for vowel, _ in SYLLABLES[statement]]
    weights = np.array([weight for _, weight in SYLLABLES[statement]]) * random.normal(1.0, 0.06, len(vowels))
    seconds = weights * SYLLABLE_SECONDS / (speaker.tempo * 2.0**style.rate)
    lengths = np.round(seconds * SAMPLE_RATE).astype(int)
    excitation = _excitation(speaker, style, int(lengths.sum()), random)
    excitation *= _envelope(style, lengths, random)
    samples = _articulate(excitation, vowels, lengths, speaker.tract_scale)
    samples *= speaker.peak / np.abs(samples).max()
    return samples.astype(np.float32)


def _speaker(actor: int) -> Speaker:
    """Draws an actor's voice; odd actors are male, even ones female."""
    random = np.random.default_rng(actor)
    male = actor % 2 == 1
    return Speaker(
        pitch=random.uniform(100.0, 140.0) if male else random.uniform(175.0, 230.0),
        tract_scale=random.uniform(0.94, 1.06) if male else random.uniform(1.10, 1.24),
        peak=random.uniform(*PEAK_RANGE),
        tempo=random.uniform(0.94, 1.06),
        brightness=random.uniform(650.0, 850.0),
    )


def _style(emotion: str, intensity: str, random: np.random.Generator) -> Style:
    """Draws one rendering of an emotion, exaggerated where it is strong."""
    neutral = np.array(STYLES[NEUTRAL])
    gain = STRONG_GAIN if intensity == STRONG else 1.0
    style = Style(*(neutral + gain * (np.array(STYLES[emotion]) - neutral) + random.normal(0.0, SPREAD)).tolist())
    return style._replace(breath=max(style.breath, 0.01), creak=min(max(style.creak, 0.0), 0.9))


def _excitation(speaker: Speaker, style: Style, length: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Synthesize the glottal pulses and the breath noise, shape (length,)."""
    time = np.arange(length) / SAMPLE_RATE
    position = np.linspace(0.0, 1.0, length)
    octaves = style.pitch + style.slope * (position - 0.5)
    octaves -= style.arch * np.cos(4.0 * np.pi * position)
    octaves += style.final_rise * np.clip(3.0 * position - 2.0, 0.0, None) ** 2
    octaves += style.tremor * np.sin(2.0 * np.pi * (random.uniform(6.5, 8.5) * time + random.uniform()))
    pitch = speaker.pitch * 2.0**octaves
    phase = 2.0 * np.pi * (np.cumsum(pitch) / SAMPLE_RATE + random.uniform())
    # The sum over k of decay**k * cos(k * phase) in closed form: every harmonic at the price of one cosine.
    decay = np.exp(-pitch / (speaker.brightness * 2.0**style.brightness))
    cosine = np.cos(phase)
    pulses: NDArray[np.float64] = decay * (cosine - decay) / (1.0 - 2.0 * decay * cosine + decay**2)
    pulses *= 1.0 + style.creak * np.cos(0.5 * phase)
    pulses /= pulses.std()
    pulses += style.breath * random.normal(size=length)
    return pulses


def _envelope(style: Style, lengths: NDArray[np.int_], random: np.random.Generator) -> NDArray[np.float64]:
    """Compute the loudness of every sample, one hump a syllable, shape (lengths.sum(),)."""
    skew = 0.7 * 2.0**-style.attack  # below 1 the hump's peak lies in the first half
    humps = [
        random.uniform(0.7, 1.0) * (0.03 + np.sin(np.pi * np.linspace(0.0, 1.0, length) ** skew)) for length in lengths
    ]
    return np.concatenate(humps) * np.exp(-style.fade * np.linspace(0.0, 1.0, int(lengths.sum())))


def _articulate(
    excitation: NDArray[np.float64], vowels: list[str], lengths: NDArray[np.int_], tract_scale: float
) -> NDArray[np.float64]:
    """Filter each syllable with the formants of its vowel; each rings on into the next, shape (samples,)."""
    samples = np.zeros(len(excitation) + RINGING_SAMPLES)
    start = 0
    for vowel, length in zip(vowels, lengths.tolist(), strict=True):
        response = _formant_response(vowel, tract_scale)
        filtered = np.fft.irfft(np.fft.rfft(excitation[start : start + length], FILTER_SAMPLES) * response)
        samples[start : start + length + RINGING_SAMPLES] += filtered[: length + RINGING_SAMPLES]
        start += length
    return samples


@functools.cache
def _formant_response(vowel: str, tract_scale: float) -> NDArray[np.complex128]:
    """Give a vowel's response at the frequencies of a real FFT, shape (FILTER_SAMPLES // 2 + 1,)."""
    delay = np.exp(-2j * np.pi * np.arange(FILTER_SAMPLES // 2 + 1) / FILTER_SAMPLES)
    response: NDArray[np.complex128] = np.ones_like(delay)
    for frequency, bandwidth in zip(VOWEL_FORMANTS[vowel], FORMANT_BANDWIDTHS, strict=True):
        radius = np.exp(-np.pi * bandwidth / SAMPLE_RATE)
        cosine = np.cos(2.0 * np.pi * frequency * tract_scale / SAMPLE_RATE)
        resonance = 1.0 - 2.0 * radius * cosine * delay + radius**2 * delay**2
        response *= (1.0 - 2.0 * radius * cosine + radius**2) / resonance  # a gain of 1 at 0 Hz
    return response
