"""MP3 in memory: a clip as it is after a lossy codec."""

import io
from functools import cache

import numpy as np
import numpy.typing as npt
import soundfile

from ser.data.audio import SAMPLE_RATE
from ser.errors import UserError

Samples = npt.NDArray[np.float32]

BIT_RATE = 32
"""kbit/s."""
RATES = (8, 160)
"""kbit/s: the range of MP3 at 16 kHz (MPEG-2 layer III), which libsndfile maps to compression levels from 1 to 0."""


def check_mp3() -> None:
    """Raise a UserError where libsndfile was built without MP3."""
    if "MP3" not in soundfile.available_formats():
        raise UserError(
            f"stress=true: libsndfile {soundfile.__libsndfile_version__} has no MP3 here; install the wheel of "
            "soundfile from PyPI, which brings one that has"
        )


def encode_mp3(samples: Samples) -> bytes:
    """Encode a clip at a constant `BIT_RATE`."""
    level = (RATES[1] - BIT_RATE) / (RATES[1] - RATES[0])
    file = io.BytesIO()
    soundfile.write(
        file,
        samples,
        SAMPLE_RATE,
        format="MP3",
        subtype="MPEG_LAYER_III",
        bitrate_mode="CONSTANT",
        compression_level=level,
    )
    return file.getvalue()


def decode_mp3(encoded: bytes) -> Samples:
    """Decode a clip, with the silence that the codec has put before it."""
    samples: Samples = soundfile.read(io.BytesIO(encoded), dtype="float32")[0]
    return samples


def through_mp3(samples: Samples) -> Samples:
    """Encode and decode a clip, `(samples,)`; no sample is earlier or later than before."""
    delay = codec_delay()
    decoded = decode_mp3(encode_mp3(samples))[delay : delay + len(samples)]
    return np.pad(decoded, (0, len(samples) - len(decoded)))


@cache
def codec_delay() -> int:
    """Measure the samples by which the codec delays a clip.

    A frame of a low bit rate has no room for the header that tells a decoder of the delay, so that it is not cut off.
    """
    from scipy import signal  # a tenth of a second of imports, for degraded clips alone

    noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE).astype(np.float32)
    clip = signal.sosfilt(signal.butter(4, (300, 3000), "bandpass", fs=SAMPLE_RATE, output="sos"), 0.1 * noise)
    decoded = decode_mp3(encode_mp3(clip.astype(np.float32)))
    return int(signal.correlate(decoded, clip, "full").argmax()) - (len(clip) - 1)
