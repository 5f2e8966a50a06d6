"""Recordings of a folder that waveforms are mixed with, such as noises; a piece is decoded when it is drawn."""

import logging
from collections import OrderedDict
from pathlib import Path

import torch

from ser.corpora.recordings import AUDIO_SUFFIXES, files_below
from ser.data import audio
from ser.data.audio import SILENCE
from ser.data.audio_file import Span, decode, open_audio
from ser.data.containers import UnreadableAudio
from ser.errors import UserError

log = logging.getLogger("ser")

PIECE = 30.0
"""Seconds of a recording that are decoded and kept together."""
KEPT_BYTES = 2**27
"""Of decoded pieces, for each process: 70 minutes."""


class AudioFolder:
    """The recordings below a folder in any layout, in pieces of at most 30 s that are all equally likely."""

    def __init__(self, folder: Path, key: str) -> None:
        """List the recordings and read their headers.

        Args:
            folder: Searched recursively.
            key: Of the config, for messages.

        Raises:
            UserError: There is no such folder, or no readable recording in it.
        """
        if not folder.is_dir():
            raise UserError(f"{key}={folder}: no such folder")
        names = sorted(name for name in files_below(folder) if Path(name).suffix.lower() in AUDIO_SUFFIXES)
        self._folder, self._key = folder, key
        self._pieces = [(name, span) for name in names for span in self._list_pieces(name)]
        self._kept: OrderedDict[int, torch.Tensor | None] = OrderedDict()
        self._bytes = 0
        if not self._pieces:
            raise UserError(f"{key}={folder}: no readable recording below it ({', '.join(sorted(AUDIO_SUFFIXES))})")

    def __len__(self) -> int:
        return len(self._pieces)

    def piece(self, index: int) -> torch.Tensor | None:
        """Return a piece, float32 `(samples,)` at 16 kHz; None where it is silent or cannot be decoded."""
        if index not in self._kept:
            self._kept[index] = found = self._decode(index)
            self._bytes += 0 if found is None else found.nbytes
            while self._bytes > KEPT_BYTES and len(self._kept) > 1:
                _, oldest = self._kept.popitem(last=False)
                self._bytes -= 0 if oldest is None else oldest.nbytes
        self._kept.move_to_end(index)
        found = self._kept[index]
        return None if found is None else found.float() / 32768

    def _list_pieces(self, name: str) -> list[Span]:
        """Return the spans of a recording; none where its header cannot be read."""
        try:
            with open_audio(self._folder / name) as file:
                seconds = file.frames / file.samplerate
        except (UnreadableAudio, OSError) as error:
            log.warning("%s=%s: %s is left out: %s", self._key, self._folder, name, error)
            return []
        count = max(1, int(seconds // PIECE))
        return [(PIECE * place, PIECE * (place + 1) if place + 1 < count else None) for place in range(count)]

    def _decode(self, index: int) -> torch.Tensor | None:
        name, span = self._pieces[index]
        try:
            native, sample_rate, _ = decode(self._folder / name, span)
        except (UnreadableAudio, OSError) as error:
            log.warning("%s=%s: %s is left out: %s", self._key, self._folder, name, error)
            return None
        samples = audio.resample(native, sample_rate)
        silent = max(int(samples.max()), -int(samples.min())) < SILENCE
        return None if silent else torch.from_numpy(samples)


def repeat_to(waveform: torch.Tensor, samples: int, start: int) -> torch.Tensor:
    """Return so many samples of a waveform from a place on; one that ends before is begun again.

    >>> repeat_to(torch.tensor([1, 2, 3]), 5, 1)
    tensor([2, 3, 1, 2, 3])
    """
    rounds = -(-(start + samples) // len(waveform))
    return waveform.repeat(rounds)[start : start + samples] if rounds > 1 else waveform[start : start + samples]


def draw_place(count: int, generator: torch.Generator) -> int:
    """Draw one of the numbers 0 to `count - 1`."""
    return int(torch.randint(count, (), generator=generator))
