"""Config of `ser predict`, and checks that it shares with the other commands that use a fine-tuned checkpoint."""

import os
from dataclasses import dataclass, field
from os.path import splitext
from typing import Any

from omegaconf import MISSING

from ser.config.enums import Engine, Ensemble
from ser.config.paths import PATH, PATHS
from ser.config.ranges import check_ranges, number
from ser.errors import UserError

OUTPUTS = (".csv", ".jsonl", ".parquet")
EMBEDDINGS = (".parquet",)
MOST_OVERLAP = 4
"""Largest number of a server's windows that overlap at any moment."""


@dataclass
class Predict:
    """Values of `ser predict`."""

    checkpoint: Any = field(default=MISSING, metadata=PATHS)
    """A run folder, a checkpoint folder, the folder of `ser export` (or one of its ONNX files; PyTorch is then not
    loaded) or a repository of the hub; a list of them is an ensemble."""
    audio: str = field(default=MISSING, metadata=PATH)
    """A file, a folder, a pattern, a CSV with a column `path`, or `-`: WAV or raw 16-bit PCM from standard input."""
    root: str | None = field(default=None, metadata=PATH)
    """The folder that the paths of a CSV start from; null: the folder of the CSV."""
    output: str | None = field(default=None, metadata=PATH)
    """A file for the predictions, `.csv`, `.jsonl` or `.parquet`. A name that ends in `/` is a folder of Parquet shards
    of 8192 recordings (with `window`, of fewer). With `audio=-` each prediction is also printed at once."""
    embeddings: str | None = field(default=None, metadata=PATH)
    """A `.parquet` file for the embedding of each recording or window: the mean over its frames of the input of the
    head's pooling. The columns are path, start, end, emotion and embedding. For a single checkpoint."""
    window: float | None = number(None, least=0.1)
    """Length in seconds of sliding windows, one prediction for each; null: one prediction for each recording."""
    hop: float | None = number(None, least=0.01)
    """Seconds from the start of one window to the start of the next; null: the length of a window."""
    timeline: str | None = field(default=None, metadata=PATH)
    """A folder for a figure of the predictions over each recording."""
    max_seconds: float = number(above=0)
    """Longest recording, in seconds, that gets one prediction. Models trained on sentences are not suited to minutes of
    speech, and the memory of attention grows with the square of the length."""
    ensemble: Ensemble = MISSING
    """Combination of several checkpoints: the mean of their probabilities, or the share of their votes."""
    test_time_copies: int = number(least=0, most=100)
    """Average the probabilities over each clip and this many copies of it with another speed (0.9 to 1.1) and level and
    a little noise, which depend on its samples alone; 0: the clip alone. N copies take N times the time."""
    temperature: float = number(above=0)
    """Divides the logits before their softmax (arXiv 1706.04599): above 1 probabilities become less certain, and the
    predicted emotions stay. `ser evaluate calibrate=true` finds the value for a checkpoint."""
    batch_size: int = number(least=1)
    """Clips in one forward pass; it does not change predictions."""
    sample_rate: int = number(least=1000, most=1_000_000)
    """Sample rate in hertz of raw samples from `audio=-`; the header of a WAV overrides it."""
    channels: int = number(least=1, most=1024)
    """Number of channels of raw samples from `audio=-`."""
    overwrite: bool = MISSING
    """Replace existing predictions, embeddings and timelines."""
    resume: bool = MISSING
    """Continue the unfinished predictions of the same command. The output is that of an uninterrupted command;
    recordings with an error keep it. Where nothing is unfinished the command starts, or has nothing to do."""
    engine: Engine = MISSING
    """What decodes and predicts: this process (`local`), or Ray Data (`ray`; needs the extra `ray`) over the cluster of
    RAY_ADDRESS or, without it, processes of this machine. All machines must see the recordings and the checkpoint
    under the same paths."""

    def __post_init__(self) -> None:
        """Raise a UserError for values that cannot be used together or are out of range."""
        self.checkpoint = as_list(self.checkpoint)
        if self.output is None or not self.output.endswith(("/", os.sep)):
            check_suffix("output", self.output, OUTPUTS, " or, for a folder of Parquet shards, in /")
        self.check_resume()
        check_suffix("embeddings", self.embeddings, EMBEDDINGS)
        check_temperature(self.temperature, self.ensemble)
        if self.embeddings is not None and len(self.checkpoint) > 1:
            raise UserError(f"embeddings={self.embeddings}: embeddings are those of one checkpoint; give one")
        if self.embeddings is not None and self.test_time_copies:
            raise UserError(
                f"test_time_copies={self.test_time_copies}: embeddings are those of the clip alone; give one of the two"
            )
        if self.audio == "-" and self.timeline is not None:
            raise UserError(f"timeline={self.timeline}: audio=- has no end to draw; give files")
        if self.window is None and (self.hop is not None or self.timeline is not None or self.audio == "-"):
            needs = "hop" if self.hop is not None else "timeline" if self.timeline is not None else "audio=-"
            raise UserError(f"window=null: {needs} needs a window, such as window=4")
        if self.audio == "-" and self.engine is Engine.ray:
            raise UserError("engine=ray: audio=- is predicted where it arrives; give files")
        check_ranges(self, "")
        if self.window is not None and self.window > self.max_seconds:
            raise UserError(f"window={self.window}: it must lie between 0.1 and max_seconds={self.max_seconds} seconds")

    def check_resume(self) -> None:
        """Raise a UserError where nothing could be continued."""
        if not self.resume:
            return
        if self.overwrite:
            raise UserError("overwrite=true and resume=true contradict each other: give one of them")
        if self.output is None:
            raise UserError("resume=true: it needs output=FILE, the predictions that are continued")
        if self.audio == "-":
            raise UserError("resume=true: audio=- cannot be read again; give files")
        if self.embeddings is not None:
            raise UserError(
                f"embeddings={self.embeddings}: they are written as a whole, and resume=true cannot continue "
                "them; give them in a command of their own"
            )


def check_suffix(key: str, path: str | None, suffixes: tuple[str, ...], otherwise: str = "") -> None:
    """Raise a UserError where a file name has none of the suffixes."""
    if path is not None and splitext(path)[1] not in suffixes:
        raise UserError(f"{key}={path}: its name must end in {' or '.join(suffixes)}{otherwise}")


def check_window(window: float, hop: float, max_seconds: float) -> None:
    """Raise a UserError where window or hop is out of range; a small hop turns minutes of audio into hours of work."""
    if not 0.1 <= window <= max_seconds:
        raise UserError(f"window={window:g}: it must lie between 0.1 and max_seconds={max_seconds:g} seconds")
    if not window / MOST_OVERLAP <= hop <= window:
        raise UserError(f"hop={hop:g}: it must lie between a quarter of window={window:g} and the whole of it")


def check_temperature(temperature: float, ensemble: Ensemble) -> None:
    """Raise a UserError for shares of votes, which are no softmax."""
    if temperature != 1 and ensemble is Ensemble.vote:
        raise UserError(f"temperature={temperature:g}: shares of votes have no temperature; give ensemble=mean")


def as_list(checkpoint: Any) -> list[str]:
    """Return the checkpoints as a list of at least one, without repetitions.

    Raises:
        UserError: There is no checkpoint, or one is given twice.
    """
    given = [str(entry) for entry in (checkpoint if isinstance(checkpoint, list) else [checkpoint])]
    if not given or len(set(given)) < len(given):
        raise UserError(f"checkpoint={given}: give at least one, and each once")
    return given
