"""Types, meanings and rules of every value a config may hold; the values themselves live in configs/.

A config is composed by Hydra, checked against these classes at one gate (`ser.cli.checked`), and from there on is a
plain dataclass: what the YAML says is what the code reads, with no default in between.
"""

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


class Interval(Enum):
    """When training is interrupted to evaluate, save and log."""

    steps = "steps"
    epoch = "epoch"


class Tracker(Enum):
    """Where training is followed besides the run folder."""

    wandb = "wandb"
    tensorboard = "tensorboard"
    none = "none"


@dataclass
class Corpus:
    name: str = MISSING
    """A file of `ser.corpora`."""


@dataclass
class Protocol:
    """How a corpus is divided. Either clips are drawn at random (`test_fraction`) or speakers (`test_speakers`)."""

    name: str = MISSING
    slug: str = MISSING
    """The protocol and, where it has folds, the fold, as the name of a run folder holds it."""
    seed: int = MISSING
    """Draws the clips (`test_fraction`) or the validation speakers; independent of the seed of training."""
    fold: int | None = None
    test_fraction: float | None = None
    """Share of clips that are tested, drawn at random with the emotions in proportion."""
    test_speakers: dict[int, list[int]] = field(default_factory=dict)
    """For each fold the speakers that are tested; nobody else's recordings of them are trained on."""
    validation_speakers: int = MISSING
    """How many whole training speakers choose the checkpoint; 0: it is chosen on the test list itself."""
    reference: str = MISSING
    """Where the protocol is published."""

    def __post_init__(self) -> None:
        """Refuse a protocol that is neither of the two kinds, and a fold that it does not have."""
        if (self.test_fraction is None) == (not self.test_speakers):
            raise UserError(f"protocol '{self.name}': give either protocol.test_fraction or protocol.test_speakers")
        folds = sorted(self.test_speakers)
        if self.fold not in (folds if folds else [None]):
            choices = f"one of {', '.join(map(str, folds))}" if folds else "null: it has no folds"
            raise UserError(f"protocol.fold={self.fold}: for protocol '{self.name}' it must be {choices}")
        if self.test_fraction is not None and not 0 < self.test_fraction < 1:
            raise UserError(f"protocol.test_fraction={self.test_fraction}: it must lie between 0 and 1")
        if self.validation_speakers < 0 or (self.test_fraction is not None and self.validation_speakers > 0):
            raise UserError(
                f"protocol.validation_speakers={self.validation_speakers}: it must be 0 where clips are drawn at random"
            )


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
    precision: Precision = MISSING
    hf: dict[str, Any] = field(default_factory=dict)
    """Any other field of TrainingArguments."""

    def __post_init__(self) -> None:
        """Refuse checkpoints that no evaluation judges: the best one could not be found among them."""
        if self.eval_strategy is Interval.steps and self.save_steps % self.eval_steps:
            raise UserError(
                f"trainer.save_steps={self.save_steps}: it must be a multiple of trainer.eval_steps={self.eval_steps}"
            )


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


@dataclass
class Train:
    """Values of `ser train`."""

    corpus: Corpus = MISSING
    protocol: Protocol = MISSING
    model: Model = MISSING
    trainer: Trainer = MISSING
    tracking: Tracking = MISSING
    root: str | None = None
    """Prepare the data from this folder first, if `data_dir` holds none."""
    data_dir: str = MISSING
    seed: int = MISSING
    output_dir: str = MISSING
    overwrite: bool = MISSING
    resume: bool = MISSING

    def __post_init__(self) -> None:
        """Refuse two orders that contradict each other."""
        if self.overwrite and self.resume:
            raise UserError("overwrite=true and resume=true contradict each other: give one of them")


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
