"""The commands that use a fine-tuned checkpoint."""

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from os.path import splitext
from typing import Any

from omegaconf import MISSING

from ser.config.enums import Ensemble, Quantize
from ser.config.paths import PATH, PATHS
from ser.config.ranges import check_ranges, number
from ser.errors import UserError

OUTPUTS = (".csv", ".jsonl")
EMBEDDINGS = (".parquet",)
HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
MOST_OVERLAP = 4
"""Windows of a server that overlap at any moment."""


@dataclass
class Predict:
    """Values of `ser predict`."""

    checkpoint: Any = field(default=MISSING, metadata=PATHS)
    """A run folder, a checkpoint folder or a repository of the hub; or a list of them, which predict together."""
    audio: str = field(default=MISSING, metadata=PATH)
    """A file, a folder, a pattern, a CSV with a column `path`, or `-`: WAV or raw 16-bit PCM from standard input."""
    root: str | None = field(default=None, metadata=PATH)
    """The folder that the paths of a CSV start from; null: the CSV's own."""
    output: str | None = field(default=None, metadata=PATH)
    """A file for the predictions, `.csv` or `.jsonl`. With `audio=-` they are printed as well, each at once."""
    embeddings: str | None = field(default=None, metadata=PATH)
    """A `.parquet` file for the embedding of each recording, or of each window: the mean over its frames of what the
    head pools. The columns are path, start, end, emotion and embedding. For a single checkpoint."""
    window: float | None = number(None, least=0.1)
    """Seconds: slide over each recording and predict each window of this length; null: one prediction a recording."""
    hop: float | None = number(None, least=0.01)
    """Seconds from the beginning of one window to that of the next; null: a whole window."""
    timeline: str | None = field(default=None, metadata=PATH)
    """A folder for a figure of the predictions over each recording."""
    max_seconds: float = number(above=0)
    """Longest recording, in seconds, that gets one prediction. Models trained on sentences are not made for minutes,
    and the memory of attention grows with the square of the length."""
    ensemble: Ensemble = MISSING
    """How several checkpoints predict together: the mean of their probabilities, or the share of their votes."""
    batch_size: int = number(least=1)
    """Clips of one forward pass; it does not change a prediction."""
    sample_rate: int = number(least=1000, most=1_000_000)
    """Hertz, of raw samples from `audio=-`; a WAV has its own in its header."""
    channels: int = number(least=1, most=1024)
    """Of raw samples from `audio=-`."""
    overwrite: bool = MISSING
    """Replace predictions, embeddings and timelines that are there already."""

    def __post_init__(self) -> None:
        """Refuse what cannot be predicted or written."""
        self.checkpoint = as_list(self.checkpoint)
        check_suffix("output", self.output, OUTPUTS)
        check_suffix("embeddings", self.embeddings, EMBEDDINGS)
        if self.embeddings is not None and len(self.checkpoint) > 1:
            raise UserError(f"embeddings={self.embeddings}: embeddings are those of one checkpoint; give one")
        if self.audio == "-" and self.timeline is not None:
            raise UserError(f"timeline={self.timeline}: audio=- has no end to draw; give files")
        if self.window is None and (self.hop is not None or self.timeline is not None or self.audio == "-"):
            needs = "hop" if self.hop is not None else "timeline" if self.timeline is not None else "audio=-"
            raise UserError(f"window=null: {needs} needs a window, such as window=4")
        check_ranges(self, "")
        if self.window is not None and self.window > self.max_seconds:
            raise UserError(f"window={self.window}: it must lie between 0.1 and max_seconds={self.max_seconds} seconds")


@dataclass
class Push:
    """Values of `ser push`. The login is that of `hf auth login` or HF_TOKEN: a token has no key here."""

    checkpoint: str = field(default=MISSING, metadata=PATH)
    """A finished run folder, or a checkpoint folder inside one."""
    repo: str = MISSING
    """`USER/NAME` on the hub."""
    private: bool = MISSING
    """Of a repository that is created; one that everybody can read is then refused."""
    dry_run: bool = MISSING
    """Write the files of the repository into a folder, and push nothing."""
    output_dir: str | None = field(default=None, metadata=PATH)
    """The folder of a dry run; null: `push` beside the checkpoint."""

    def __post_init__(self) -> None:
        """Refuse an output folder without a dry run."""
        if self.output_dir is not None and not self.dry_run:
            raise UserError(f"output_dir={self.output_dir}: only dry_run=true writes there")


@dataclass
class Hub:
    """Whether `ser train` pushes its checkpoint to the hub at the end, as `ser push` does."""

    push: bool = MISSING
    """Push the checkpoint to the hub when training is finished; the login is checked first."""
    repo: str | None = None
    """`USER/NAME` on the hub."""
    private: bool = MISSING
    """Of a repository that is created."""

    def __post_init__(self) -> None:
        """Refuse to push to nowhere."""
        if self.push and self.repo is None:
            raise UserError("hub.push=true: give hub.repo=USER/NAME")


@dataclass
class Export:
    """Values of `ser export`."""

    checkpoint: str = field(default=MISSING, metadata=PATH)
    """A run folder, a checkpoint folder or a repository of the hub."""
    quantize: Quantize | None = None
    """A second model with matrix products in this type; null: none."""
    score: bool = MISSING
    """Score the checkpoint and the exported models on the test split, where the data are here."""
    batch_size: int = number(least=1)
    """Clips of one forward pass while the test split is scored."""
    root: str | None = field(default=None, metadata=PATH)
    """Prepare the data from this folder first, if `data_dir` holds none."""
    data_dir: str | None = field(default=None, metadata=PATH)
    """What `prepare-data` wrote; null: data/<corpus of the checkpoint>."""
    output_dir: str | None = field(default=None, metadata=PATH)
    """Where the model goes; null: a folder beside the checkpoint, named by the format."""

    def __post_init__(self) -> None:
        """Refuse numbers that are out of range."""
        check_ranges(self, "")


@dataclass
class Serve:
    """Values of `ser serve`."""

    checkpoint: Any = field(default=MISSING, metadata=PATHS)
    """As that of `ser predict`."""
    host: str = MISSING
    """The address to listen on. 127.0.0.1 is this machine alone; 0.0.0.0 lets in every network that reaches it."""
    port: int = number(least=0, most=65535)
    """0: any that is free."""
    allowed_hosts: Any = field(default_factory=list)
    """Host names without a port at which a proxy in front of the server answers; none: those of this machine alone."""
    max_megabytes: float = number(above=0)
    """Of a file. All recordings in memory together take at most `queue` + 1 times as much; the buffers
    of connections take at most 60 MB beside them, and a prediction what it needs."""
    max_seconds: float = number(above=0)
    """Longest recording, in seconds, that gets one prediction; see `ser predict`."""
    max_minutes: float = number(above=0)
    """Longest recording, in minutes, that is predicted window by window."""
    window: float = number(least=0.1)
    """Seconds; a longer recording gets a timeline on the page."""
    hop: float = number(above=0)
    """Seconds from window to window of that timeline."""
    queue: int = number(least=1)
    """Requests that may wait while one is computed; more get status 503."""
    timeout: float = number(above=0)
    """Seconds that an upload may take, and that the page keeps its recording afterwards."""
    ensemble: Ensemble = MISSING
    """As that of `ser predict`."""
    batch_size: int = number(least=1)
    """Clips of one forward pass; it does not change a prediction."""

    def __post_init__(self) -> None:
        """Turn values into lists; refuse windows that are out of range."""
        self.checkpoint = as_list(self.checkpoint)
        check_ranges(self, "")
        self.allowed_hosts = host_names(self.allowed_hosts)
        check_window(self.window, self.hop, self.max_seconds)


def host_names(given: Any) -> list[str]:
    """Return host names as a list.

    Raises:
        UserError: one is a URL or a pattern, or has a port.
    """
    names = [str(name) for name in (given if isinstance(given, list) else [given])]
    for name in names:
        if not HOST_NAME.fullmatch(name) and not is_address(name):
            raise UserError(f"allowed_hosts={name}: it is not a host name; give it alone, such as ser.example")
    return names


def check_suffix(key: str, path: str | None, suffixes: tuple[str, ...]) -> None:
    """Raise a UserError where the name of a file ends in none of the suffixes."""
    if path is not None and splitext(path)[1] not in suffixes:
        raise UserError(f"{key}={path}: its name must end in {' or '.join(suffixes)}")


def is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def as_list(checkpoint: Any) -> list[str]:
    """Return the checkpoints as a list of at least one, without repetitions.

    Raises:
        UserError: there is none, or one is given twice.
    """
    given = [str(entry) for entry in (checkpoint if isinstance(checkpoint, list) else [checkpoint])]
    if not given or len(set(given)) < len(given):
        raise UserError(f"checkpoint={given}: give at least one, and each once")
    return given


def check_window(window: float, hop: float, max_seconds: float) -> None:
    """Raise a UserError where window or hop is out of range: a small hop makes hours of work out of minutes."""
    if not 0.1 <= window <= max_seconds:
        raise UserError(f"window={window:g}: it must lie between 0.1 and max_seconds={max_seconds:g} seconds")
    if not window / MOST_OVERLAP <= hop <= window:
        raise UserError(f"hop={hop:g}: it must lie between a quarter of window={window:g} and the whole of it")
