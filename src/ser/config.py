"""Types, meanings and rules of every value a config may hold; the values themselves live in configs/.

A config is composed by Hydra, checked against these classes at one gate (`ser.cli.checked`), and from there on is a
plain dataclass: what the YAML says is what the code reads, with no default in between.
"""

import math
import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from omegaconf import MISSING

from ser.errors import UserError


class Side(Enum):
    """The three lists a protocol makes of a corpus."""

    train = "train"
    validation = "validation"
    test = "test"


class Pooling(Enum):
    """How the frames of a clip become one vector."""

    mean = "mean"
    max = "max"
    mean_std = "mean_std"
    attentive = "attentive"


class Precision(Enum):
    """Arithmetic of training; `auto` takes bf16 where the device has it, else fp16 on CUDA, else fp32."""

    auto = "auto"
    bf16 = "bf16"
    fp16 = "fp16"
    fp32 = "fp32"


class ClassWeights(Enum):
    """What a clip counts in the loss of training, by its emotion."""

    none = "none"
    balanced = "balanced"


class Attention(Enum):
    """Which code computes attention in training; all compute the same. `auto` takes the faster one for the device."""

    auto = "auto"
    eager = "eager"
    sdpa = "sdpa"


class Interval(Enum):
    """When training is interrupted to evaluate, save and log."""

    steps = "steps"
    epoch = "epoch"


class Tracker(Enum):
    """Where training is followed besides the run folder."""

    wandb = "wandb"
    tensorboard = "tensorboard"
    none = "none"


class Audit(Enum):
    """What happens where the audit finds something on both sides of a split."""

    warn = "warn"
    strict = "strict"


@dataclass
class Corpus:
    name: str = MISSING
    """A file of `ser.corpora`."""


@dataclass
class Protocol:
    """How a corpus is divided: clips at random (`test_fraction`), whole speakers (`test_speakers`) or a table."""

    name: str = MISSING
    seed: int = MISSING
    """Draws the clips (`test_fraction`) or the validation speakers; independent of the seed of training."""
    fold: int | None = None
    """One of the folds; null: all of them, one after the other."""
    test_fraction: float | None = None
    """Share of clips that are tested, drawn at random with the emotions in proportion."""
    test_speakers: dict[int, list[Any]] = field(default_factory=dict)
    """For each fold the speakers that are tested; nobody else's recordings of them are trained on."""
    test_statements: dict[int, str] = field(default_factory=dict)
    """For each fold the one sentence that is tested; it is not trained on. Empty: every sentence is on both sides."""
    folds_csv: str | None = None
    """A CSV with the columns `path` and `fold`: a recording is tested in its fold and trained on in the others; an
    empty fold leaves it out."""
    validation_speakers: int = MISSING
    """How many whole training speakers, drawn at random, choose the checkpoint; 0: it is chosen on the test list."""
    named_validation_speakers: dict[int, list[Any]] = field(default_factory=dict)
    """For each fold the speakers that choose the checkpoint, where they are not to be drawn."""
    reference: str = MISSING
    """Where the protocol is published."""

    def __post_init__(self) -> None:
        """Refuse a protocol that is not one of the three kinds, and a fold that it does not have."""
        for key in ("test_speakers", "named_validation_speakers"):
            # Speakers are texts, also where YAML reads a number.
            setattr(self, key, {fold: [str(speaker) for speaker in row] for fold, row in getattr(self, key).items()})
        kinds = {"test_fraction": self.test_fraction, "test_speakers": self.test_speakers, "folds_csv": self.folds_csv}
        if len(given := [key for key, value in kinds.items() if value]) != 1:
            raise UserError(
                f"protocol '{self.name}': give one of {', '.join(f'protocol.{key}' for key in kinds)}; "
                f"it has {' and '.join(given) or 'none'}"
            )
        if self.fold is not None and self.folds_csv is None and self.fold not in self.test_speakers:
            choices = ", ".join(map(str, sorted(self.test_speakers)))
            raise UserError(
                f"protocol.fold={self.fold}: protocol '{self.name}' has "
                + (f"the folds {choices}; null runs all of them" if choices else "no folds: it must be null")
            )
        if self.test_fraction is not None and not 0 < self.test_fraction < 1:
            raise UserError(f"protocol.test_fraction={self.test_fraction}: it must lie between 0 and 1")
        if self.validation_speakers < 0 or (self.test_fraction is not None and self.validation_speakers > 0):
            raise UserError(
                f"protocol.validation_speakers={self.validation_speakers}: it must be 0 where clips are drawn at random"
            )
        for key in ("test_statements", "named_validation_speakers"):
            if unknown := sorted(set(getattr(self, key)) - set(self.test_speakers)):
                raise UserError(f"protocol.{key}: protocol.test_speakers has no fold {unknown[0]}")


@dataclass
class Model:
    """An encoder and what is put on it."""

    name: str = MISSING
    pretrained: str | None = None
    """A hub name or a local folder in the hub's layout; null: random weights of the shape that `config` gives."""
    freeze: str = MISSING
    """What keeps its pretrained weights: `cnn`, `encoder` (all but the head), `none`, or `layers:N` (the CNN, the first
    N layers and what stands between them: only the layers from the N-th on are trained)."""
    weighted_layer_sum: bool = MISSING
    """Pool a learned weighted sum of all layers (SUPERB, arXiv 2105.01051) rather than the last layer."""
    classifier_proj_size: int = MISSING
    """Width of the projection between encoder and pooling."""
    pooling: Pooling = MISSING
    """`mean` saves a checkpoint that stock transformers loads; the others travel with their code."""
    lora_rank: int | None = None
    """Train low-rank updates of the attention (LoRA, arXiv 2106.09685) instead of the encoder; null: no."""
    lora_alpha: float = MISSING
    """The update is scaled by `lora_alpha / lora_rank`."""
    lora_dropout: float = MISSING
    gradient_checkpointing: bool = MISSING
    """Compute each layer again in the backward pass and keep no activations: less memory, a third more time."""
    config: dict[str, Any] = field(default_factory=dict)
    """Settings of the encoder's own config (dropouts, SpecAugment, layerdrop; the whole shape of a random one), set
    here so that a checkpoint cannot bring others unseen."""

    def __post_init__(self) -> None:
        """Refuse a model that has neither a checkpoint nor a shape, and what cannot be frozen."""
        if not re.fullmatch(r"cnn|encoder|none|layers:\d+", self.freeze):
            raise UserError(f"model.freeze={self.freeze}: choices: cnn, encoder, none, layers:N")
        if self.lora_rank is not None and self.lora_rank < 1:
            raise UserError(f"model.lora_rank={self.lora_rank}: it must be at least 1, or null")
        if self.pretrained is None and "model_type" not in self.config:
            raise UserError(
                f"model '{self.name}': without model.pretrained its model.config must name a model_type "
                "(random weights); give model.pretrained=PATH for a local checkpoint"
            )


@dataclass
class Trainer:
    """What we set of `transformers.TrainingArguments`, under the same names where it has one."""

    num_train_epochs: float = MISSING
    max_steps: int = MISSING
    """Optimizer steps; overrides the epochs where it is positive."""
    per_device_train_batch_size: int = MISSING
    per_device_eval_batch_size: int = MISSING
    gradient_accumulation_steps: int = MISSING
    learning_rate: float = MISSING
    """Peak rate of the encoder."""
    head_learning_rate: float | None = None
    """Peak rate of projection, classifier and layer weights; null: the encoder's."""
    lr_scheduler_type: str = MISSING
    warmup_steps: float = MISSING
    """Steps of linear warm-up; a value below 1 is a share of all steps."""
    weight_decay: float = MISSING
    max_grad_norm: float = MISSING
    optim: str = MISSING
    eval_strategy: Interval = MISSING
    """Evaluate, save and log every so many steps, or after each epoch."""
    eval_steps: int = MISSING
    save_steps: int = MISSING
    logging_steps: int = MISSING
    save_total_limit: int = MISSING
    """Checkpoints kept for resuming; the best one is always among them."""
    metric_for_best_model: str = MISSING
    """`loss` (least) or one of `ser.results.metrics.SUMMARY` (greatest), on the validation list."""
    early_stopping_patience: int | None = None
    """Stop after so many evaluations without improvement; null: never."""
    class_weights: ClassWeights = MISSING
    """`balanced`: a clip counts `N / (C n_c)` in the loss of training, the rarer its emotion the more (N clips, n_c of
    its emotion, C emotions in the training list), so that the emotions count alike and a clip 1 on average. The
    evaluation loss stays the plain cross-entropy whatever this and the keys below say: it means the same in every
    run, and is not to be compared with their training loss."""
    balanced_sampling: bool = MISSING
    """Each epoch draws as many clips as the training list has, with replacement, every emotion equally likely: clips
    of a rare one are heard several times, some of a frequent one not at all. It takes the place of any other order of
    clips (`hf.train_sampling_strategy`); with balanced class weights a rare emotion is favoured twice over."""
    bucket_by_length: bool = MISSING
    """Each epoch draws an order that puts clips of like length into one batch: nearly nothing is computed on padding.
    It takes the place of any other order of clips (`hf.train_sampling_strategy`), but for balanced sampling, whose
    clips are then put together so. What the clips of a batch share besides, an emotion that is spoken slowly or a slow
    speaker, is no longer spread over all batches."""
    attention: Attention = MISSING
    """`sdpa` is PyTorch's own; in bfloat16 on a CPU with dropout the plain code (`eager`) is faster."""
    cache_features: bool = MISSING
    """Where the CNN in front of the encoder is frozen, compute its output once for the whole corpus and keep it
    (`data_dir/features`, 272 MB for RAVDESS in bfloat16): every epoch, fold and seed reads it there. Exact for encoders
    with a layer norm in their CNN; for those with a group norm it is the answer for the clip alone, without padding.
    The test list is scored from the audio whatever this says."""
    focal_gamma: float = MISSING
    """The loss of a clip is multiplied by `(1 - p)^focal_gamma`, p the probability given to its emotion (focal loss,
    arXiv 1708.02002): the higher, the less training cares about what is recognised already; 0: all clips alike."""
    label_smoothing: float = MISSING
    """Share of the target that is spread over all emotions (arXiv 1512.00567): the higher, the less sure of itself the
    model is made; 0: all of it on the emotion of the clip."""
    precision: Precision = MISSING
    hf: dict[str, Any] = field(default_factory=dict)
    """Any other field of TrainingArguments."""

    def __post_init__(self) -> None:
        """Refuse a loss that is none, and checkpoints that no evaluation judges: the best could not be found there."""
        if self.eval_strategy is Interval.steps and self.save_steps % self.eval_steps:
            raise UserError(
                f"trainer.save_steps={self.save_steps}: it must be a multiple of trainer.eval_steps={self.eval_steps}"
            )
        if not 0 <= self.focal_gamma < math.inf:
            raise UserError(f"trainer.focal_gamma={self.focal_gamma}: it must be 0 or more")
        if not 0 <= self.label_smoothing < 1:
            raise UserError(f"trainer.label_smoothing={self.label_smoothing}: it must be at least 0 and below 1")


@dataclass
class Audio:
    """What is done to a clip before the encoder hears it; a checkpoint keeps it, and is scored on such clips."""

    trim: bool = MISSING
    """Cut off the silence before and after the speech, but for 0.1 s: of RAVDESS 58 % remains. The model then cannot
    learn from how long an actor waits; whoever uses its checkpoint must trim alike (`ser.data.trim.boundaries`)."""


@dataclass
class Tracking:
    name: Tracker = MISSING
    project: str | None = None


@dataclass
class PrepareData:
    """Values of `ser prepare-data`."""

    corpus: Corpus = MISSING
    protocol: Protocol = MISSING
    root: str | None = None
    data_dir: str = MISSING
    audit: Audit = MISSING


@dataclass
class Train:
    """Values of `ser train`."""

    corpus: Corpus = MISSING
    protocol: Protocol = MISSING
    model: Model = MISSING
    audio: Audio = MISSING
    trainer: Trainer = MISSING
    tracking: Tracking = MISSING
    root: str | None = None
    """Prepare the data from this folder first, if `data_dir` holds none."""
    data_dir: str = MISSING
    audit: Audit = MISSING
    seed: int = MISSING
    seeds: list[int] = MISSING
    """Everything is run with each of these seeds; `seed` alone by default."""
    output_dir: str = MISSING
    """The run folder; where there are folds or several seeds, each run has its own below it."""
    overwrite: bool = MISSING
    resume: bool = MISSING

    def __post_init__(self) -> None:
        """Refuse two orders that contradict each other."""
        if self.overwrite and self.resume:
            raise UserError("overwrite=true and resume=true contradict each other: give one of them")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise UserError(f"seeds={self.seeds}: give at least one seed, and each once")


@dataclass
class Compare:
    """Values of `ser compare`."""

    runs: Any = MISSING
    """Folders or patterns: one, or a list of them."""
    output_dir: str = MISSING
    published: bool = MISSING

    def __post_init__(self) -> None:
        """One is a list of one."""
        self.runs = [str(entry) for entry in (self.runs if isinstance(self.runs, list) else [self.runs])]


@dataclass
class Evaluate:
    """Values of `ser evaluate`."""

    checkpoint: str = MISSING
    split: Side = MISSING
    batch_size: int = MISSING
    root: str | None = None
    data_dir: str | None = None
    """What `prepare-data` wrote; null: data/<corpus of the checkpoint>."""
    output_dir: str | None = None
    """Where the reports go; null: a folder beside the checkpoint, named by the split."""
