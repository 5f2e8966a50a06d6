"""Config of the commands from recordings to a report."""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from ser.config.augment import Augment
from ser.config.corpus import Corpus
from ser.config.enums import Audit, Engine, Ensemble, Split
from ser.config.identity import INCIDENTAL
from ser.config.model import Audio, Model
from ser.config.paths import PATH, PATHS
from ser.config.predict import as_list
from ser.config.protocol import Protocol
from ser.config.ranges import CHOICES, RANGE, Range, check_ranges, number, spell
from ser.config.trainer import Tracking, Trainer
from ser.config.use import Hub
from ser.errors import UserError

AUTO = "auto"
"""`resume=auto`: go on where there is something to go on from, start where there is nothing."""
SEED = {RANGE: Range(least=0, most=2**32 - 1)}
"""Range of seeds that both NumPy and PyTorch accept."""


@dataclass
class PrepareData:
    """Values of `ser prepare-data`."""

    corpus: Corpus = MISSING
    protocol: Protocol = MISSING
    root: str | None = field(default=None, metadata=PATH)
    """The folder of the corpus; not needed for a synthetic corpus, which the package generates."""
    download: bool = MISSING
    """Download the corpus into `data_dir` where its owner gives a direct link; size and checksum are verified."""
    data_dir: str = field(default=MISSING, metadata=PATH)
    """The folder for the manifest, the splits, the audit and the 16 kHz cache."""
    on_leak: Audit = MISSING
    """`warn`: report speakers and duplicates that training shares with another split; `strict`: stop with an error."""
    engine: Engine = MISSING
    """What decodes: the threads of this process (`local`), or Ray Data (`ray`; needs the extra `ray`) over the cluster
    of RAY_ADDRESS or, without it, processes of this machine. All machines must see the files under the same paths."""


@dataclass
class Train:
    """Values of `ser train`."""

    corpus: Corpus = MISSING
    protocol: Protocol = MISSING
    model: Model = MISSING
    audio: Audio = MISSING
    augment: Augment = MISSING
    trainer: Trainer = MISSING
    tracking: Tracking = field(default=MISSING, metadata=INCIDENTAL)
    hub: Hub = field(default=MISSING, metadata=INCIDENTAL)
    root: str | None = field(default=None, metadata={**PATH, **INCIDENTAL})
    """Prepare the data from this folder first, if `data_dir` holds none."""
    data_dir: str = field(default=MISSING, metadata={**PATH, **INCIDENTAL})
    """The folder that `prepare-data` wrote."""
    on_leak: Audit = field(default=MISSING, metadata=INCIDENTAL)
    """`warn`: report speakers and duplicates that training shares with another split; `strict`: stop with an error."""
    seed: int = field(default=MISSING, metadata=SEED)
    """Seed of the initial head, the order of clips, dropout and masks."""
    seeds: list[int] = field(default=MISSING, metadata={**SEED, **INCIDENTAL})
    """Seeds; the whole command runs once with each of them. By default `seed` alone."""
    only_seed: int | None = field(default=None, metadata={**SEED, **INCIDENTAL})
    """Of `seeds`, run this one alone, in its folder below `output_dir`, as `protocol.fold` does with a fold."""
    output_dir: str = field(default=MISSING, metadata={**PATH, **INCIDENTAL})
    """The run folder; with folds or several seeds, each run has a folder of its own below it."""
    overwrite: bool = field(default=MISSING, metadata=INCIDENTAL)
    """Replace the run in `output_dir` when the new one is finished."""
    resume: bool | str = field(default=MISSING, metadata={**INCIDENTAL, CHOICES: (True, False, AUTO)})
    """`true`: continue the run in `output_dir` from its newest checkpoint; `auto`: the same, for a command that a
    scheduler gives again as it is: it starts where there is nothing yet. A finished run stays as it is."""

    def __post_init__(self) -> None:
        """Raise a UserError for contradictory values."""
        check_ranges(self, "")
        if self.overwrite and self.resume:
            raise UserError(f"overwrite=true and resume={spell(self.resume)} contradict each other: give one of them")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise UserError(f"seeds={self.seeds}: give at least one seed, and each once")
        if self.only_seed not in (None, *self.seeds):
            raise UserError(f"only_seed={self.only_seed}: choices: {', '.join(map(str, self.seeds))} (seeds)")
        if self.trainer.cache_features and self.augment.changes_clips:
            raise UserError(
                "trainer.cache_features=true: the features of a clip are computed once, and augment changes it in each "
                "epoch; give trainer.cache_features=false or augment=none"
            )


@dataclass
class Compare:
    """Values of `ser compare`."""

    runs: Any = field(default=MISSING, metadata=PATHS)
    """A run folder or a pattern, or a list of them."""
    output_dir: str = field(default=MISSING, metadata=PATH)
    """The folder for the comparison."""
    published: bool = MISSING
    """Show the published results of the paper beside runs under the same protocol."""

    def __post_init__(self) -> None:
        """Turn a single run into a list; raise a UserError where there is none."""
        self.runs = [str(entry) for entry in (self.runs if isinstance(self.runs, list) else [self.runs])]
        if not self.runs:
            raise UserError("runs=[]: give at least one run")


@dataclass
class Evaluate:
    """Values of `ser evaluate`."""

    checkpoint: Any = field(default=None, metadata=PATHS)
    """A run folder or a checkpoint folder; with `corpus`, also a repository of the hub, and one that `ser` did not
    write. A run of several folds is scored fold by fold. A list of runs is an ensemble, as are the seeds of a run."""
    predictions: str | None = field(default=None, metadata=PATH)
    """A table of anybody's predictions instead of a checkpoint: columns `path` and `prediction`, or `path` and a column
    of probabilities for each emotion."""
    corpus: Corpus | None = None
    """The corpus that is scored; null: the one that the checkpoint was trained on, under its protocol."""
    protocol: Protocol | None = None
    """With `corpus`: its tested clips are scored, those of all folds; null: all clips."""
    split: Split = MISSING
    """The split that is scored."""
    stress: bool = MISSING
    """Predict the scored clips again under fixed degradations: pink noise at 20, 10 and 0 dB, telephone band, a room,
    MP3 at 32 kbit/s, quieter by 30 dB. The report has their UAR beside that of the clean clips."""
    ensemble: Ensemble = MISSING
    """Same as `ensemble` of `ser predict`."""
    test_time_copies: int = number(least=0, most=100)
    """Same as `test_time_copies` of `ser predict`."""
    calibrate: bool = MISSING
    """Scale the probabilities by one temperature (arXiv 1706.04599), the one with the lowest cross-entropy on the
    validation split, whose speakers are neither in the training split nor in the scored one. The predicted emotions
    stay; the report has the calibration before and after."""
    speaker_normalization: bool = MISSING
    """Use the other clips of each scored speaker, unlabelled: bring the speaker's embeddings to mean and deviation of
    the training speakers, `x' = (x - m_s) / d_s * d + m` (arXiv 2104.03502). It is a protocol of its own, which the
    report says first."""
    batch_size: int = number(least=1)
    """Clips in one forward pass; it does not change predictions."""
    root: str | None = field(default=None, metadata=PATH)
    """Prepare the data from this folder first, if `data_dir` holds none."""
    data_dir: str | None = field(default=None, metadata=PATH)
    """The folder that `prepare-data` wrote; null: data/<corpus of the checkpoint>."""
    output_dir: str | None = field(default=None, metadata=PATH)
    """The folder for the reports; null: a folder beside the checkpoint, named after the split, or for several
    checkpoints a folder in `evaluations`."""

    def __post_init__(self) -> None:
        """Raise a UserError for numbers that are out of range, and for values that do not fit together."""
        check_ranges(self, "")
        if (self.checkpoint is None) == (self.predictions is None):
            raise UserError("give checkpoint=RUN or predictions=FILE, and not both")
        if self.checkpoint is not None:
            self.checkpoint = as_list(self.checkpoint)
        self.check_models()
        if self.corpus is None and (self.predictions is not None or self.protocol is not None):
            given = "predictions" if self.predictions is not None else "protocol"
            raise UserError(f"{given}=...: it needs corpus=NAME beside it, the corpus that is scored")

    def check_models(self) -> None:
        """Raise a UserError for what the given models, or anybody's predictions, cannot do."""
        asked = {
            "stress=true": self.stress,
            f"test_time_copies={self.test_time_copies}": self.test_time_copies > 0,
            "calibrate=true": self.calibrate,
            "speaker_normalization=true": self.speaker_normalization,
        }
        for key, given in asked.items():
            if given and self.predictions is not None:
                raise UserError(f"{key}: it needs a model; give checkpoint=RUN, not predictions=FILE")
        if self.speaker_normalization and (self.stress or self.test_time_copies or self.corpus is not None):
            raise UserError(
                "speaker_normalization=true: it is for the clips of the checkpoint's own protocol as they are; leave "
                "stress, test_time_copies and corpus out"
            )
        if self.calibrate and self.corpus is not None:
            raise UserError(
                "calibrate=true: the validation split of the training corpus is needed; leave corpus=... out"
            )
        if self.calibrate and self.split is Split.validation:
            raise UserError("calibrate=true: the temperature is fitted on the validation split; score another one")
        if self.calibrate and self.ensemble is Ensemble.vote:
            raise UserError("calibrate=true: shares of votes have no temperature; give ensemble=mean")
