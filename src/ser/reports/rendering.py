"""Jinja for the templates of reports and of the page of `ser serve`."""

import base64
import io
from pathlib import Path

import soundfile
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ser.data.audio import SAMPLE_RATE
from ser.data.audio_file import Int16
from ser.reports.formats import duration, percent, reach


def template_environment() -> Environment:
    """Set up Jinja for the templates of reports."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,  # names of files, speakers and models may contain markup
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(percent=percent, reach=reach, duration=duration, flac=flac)
    return templates


def flac(samples: Int16) -> str:
    """Encode 16 kHz samples for `<audio>`: lossless, in about half the bytes of WAV."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return data_uri("audio/flac", buffer.getvalue())


def data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
