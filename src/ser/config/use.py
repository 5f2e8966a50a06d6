"""Config of the other commands that use a fine-tuned checkpoint: push, export, serve."""

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from omegaconf import MISSING

from ser.config.enums import Ensemble, Quantize
from ser.config.paths import PATH, PATHS
from ser.config.predict import as_list, check_temperature, check_window
from ser.config.ranges import check_ranges, number
from ser.errors import UserError

HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


@dataclass
class Push:
    """Values of `ser push`. It logs in with `hf auth login` or HF_TOKEN; there is no key for a token."""

    checkpoint: str = field(default=MISSING, metadata=PATH)
    """A finished run folder, or a checkpoint folder inside one."""
    repo: str = MISSING
    """`USER/NAME` on the hub."""
    private: bool = MISSING
    """Create a private repository; an existing public repository is then an error."""
    dry_run: bool = MISSING
    """Write the files of the repository to a folder, and push nothing."""
    output_dir: str | None = field(default=None, metadata=PATH)
    """The folder of a dry run; null: `push` beside the checkpoint."""

    def __post_init__(self) -> None:
        """Raise a UserError for an output folder without a dry run."""
        if self.output_dir is not None and not self.dry_run:
            raise UserError(f"output_dir={self.output_dir}: only dry_run=true writes there")


@dataclass
class Hub:
    """Values of the push to the hub at the end of `ser train`."""

    push: bool = MISSING
    """Push the checkpoint to the hub after training, as `ser push` does; the login is checked before training."""
    repo: str | None = None
    """`USER/NAME` on the hub."""
    private: bool = MISSING
    """Create a private repository."""

    def __post_init__(self) -> None:
        """Raise a UserError for a push without a repository."""
        if self.push and self.repo is None:
            raise UserError("hub.push=true: give hub.repo=USER/NAME")


@dataclass
class Export:
    """Values of `ser export`."""

    checkpoint: str = field(default=MISSING, metadata=PATH)
    """A run folder, a checkpoint folder or a repository of the hub."""
    quantize: Quantize | None = None
    """Type of the matrix products of a second, quantized model; null: no second model."""
    score: bool = MISSING
    """Score the checkpoint and the exported models on the test split, where the data are available."""
    batch_size: int = number(least=1)
    """Clips in one forward pass while the test split is scored."""
    root: str | None = field(default=None, metadata=PATH)
    """Prepare the data from this folder first, if `data_dir` holds none."""
    data_dir: str | None = field(default=None, metadata=PATH)
    """The folder that `prepare-data` wrote; null: data/<corpus of the checkpoint>."""
    output_dir: str | None = field(default=None, metadata=PATH)
    """The folder for the model; null: a folder beside the checkpoint, named after the format."""

    def __post_init__(self) -> None:
        """Raise a UserError for numbers that are out of range."""
        check_ranges(self, "")


@dataclass
class Serve:
    """Values of `ser serve`."""

    checkpoint: Any = field(default=MISSING, metadata=PATHS)
    """Same as `checkpoint` of `ser predict`."""
    host: str = MISSING
    """The address to listen on. 127.0.0.1: only this machine; 0.0.0.0: all networks that reach it."""
    port: int = number(least=0, most=65535)
    """The port to listen on; 0: any free port."""
    allowed_hosts: Any = field(default_factory=list)
    """Host names, without a port, of a proxy in front of the server. If it is empty, the server accepts the names of
    this machine, and on a network any name."""
    max_megabytes: float = number(above=0)
    """Largest file, in megabytes. All recordings in memory together take at most `queue` + 1 times this size; the
    buffers of connections take at most 60 MB more, in addition to the memory of a prediction."""
    max_seconds: float = number(above=0)
    """Longest recording, in seconds, that gets one prediction; see `ser predict`."""
    max_minutes: float = number(above=0)
    """Longest recording, in minutes, that is predicted window by window."""
    window: float = number(least=0.1)
    """Length of a window in seconds; a longer recording gets a timeline on the page."""
    hop: float = number(above=0)
    """Seconds from the start of one window of that timeline to the start of the next."""
    queue: int = number(least=1)
    """Number of requests that may wait while one is computed; further requests get status 503."""
    timeout: float = number(above=0)
    """Time limit in seconds for an upload, and the time that the page keeps its recording afterwards."""
    ensemble: Ensemble = MISSING
    """Same as `ensemble` of `ser predict`."""
    temperature: float = number(above=0)
    """Same as `temperature` of `ser predict`."""
    batch_size: int = number(least=1)
    """Clips in one forward pass; it does not change predictions."""

    def __post_init__(self) -> None:
        """Turn values into lists; raise a UserError for values that are out of range."""
        self.checkpoint = as_list(self.checkpoint)
        check_ranges(self, "")
        self.allowed_hosts = host_names(self.allowed_hosts)
        check_temperature(self.temperature, self.ensemble)
        check_window(self.window, self.hop, self.max_seconds)


def host_names(given: Any) -> list[str]:
    """Return host names as a list.

    Raises:
        UserError: A name is a URL or a pattern, or has a port.
    """
    names = [str(name) for name in (given if isinstance(given, list) else [given])]
    for name in names:
        if not HOST_NAME.fullmatch(name) and not is_address(name):
            raise UserError(f"allowed_hosts={name}: it is not a host name; give it alone, such as ser.example")
    return names


def is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
