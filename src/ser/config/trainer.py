"""How a model is trained."""

import math
from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from ser.config.choices import Attention, ClassWeights, Interval, Precision, Tracker
from ser.errors import UserError


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
    """Checkpoints kept, the newest ones. Those that are needed stay even above it: the newest, the best one, and what
    resuming starts from."""
    save_optimizer_every: int = MISSING
    """Every so many checkpoints one holds the optimizer's state, two thirds of what is written; the others hold the
    weights, all that the best one needs. A resumed run goes on from the newest that has it, and what came after is
    trained again. 1: all of them; 0: none, an interrupted run starts again."""
    background_checkpoints: bool = MISSING
    """Copy weights and the optimizer's state in memory (12 bytes for each parameter that Adam trains) and let a thread
    write the copy. Training goes on meanwhile and waits only where the checkpoint before is not yet written. Where the
    memory has no room for a copy, it waits for each, and the log says so."""
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
    quick_dropout: bool = MISSING
    """On a CPU, draw the masks of dropout by a fast generator: other zeros, as many (`ser.training.dropout`).
    Nothing changes with `compile`."""
    cache_features: bool = MISSING
    """Where the CNN in front of the encoder is frozen, compute its output once for the whole corpus and keep it
    (`data_dir/features`, 272 MB for RAVDESS in bfloat16): every epoch, fold and seed reads it there. Exact for encoders
    with a layer norm in their CNN; for those with a group norm it is the answer for the clip alone, without padding.
    With `model.freeze=layers:N`, or `encoder`, it is the hidden state after the last frozen layer that is kept (1.5
    times as large for a base encoder, twice for a large one), if nothing is random below it: all dropouts, layerdrop
    and SpecAugment of `model.config` are 0, and `model.weighted_layer_sum` is off. Else the log says what stands in
    the way.
    The test list is scored from the audio whatever this says."""
    resident: bool = MISSING
    """Keep the clips of the run on the GPU, or the output of the frozen CNN in their place, and make the batches there:
    no loader, no copies. Where there is no GPU, or they take more than a quarter of its free memory, the log says so
    and batches are made from the memory-mapped file."""
    compile: bool = MISSING
    """Pad the batches of training to at most eight lengths and compile the layers of the encoder for each: for a GPU
    that waits for Python. The maths stays the same, dropout draws other numbers. Encoders of the wav2vec2 line with a
    layer norm in their CNN and without layerdrop."""
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
        """Refuse what cannot be, and checkpoints that no evaluation judges: the best could not be found there."""
        if self.eval_strategy is Interval.steps and self.save_steps % self.eval_steps:
            raise UserError(
                f"trainer.save_steps={self.save_steps}: it must be a multiple of trainer.eval_steps={self.eval_steps}"
            )
        if self.save_optimizer_every < 0:
            raise UserError(f"trainer.save_optimizer_every={self.save_optimizer_every}: it must be 0 or more")
        if not 0 <= self.focal_gamma < math.inf:
            raise UserError(f"trainer.focal_gamma={self.focal_gamma}: it must be 0 or more")
        if not 0 <= self.label_smoothing < 1:
            raise UserError(f"trainer.label_smoothing={self.label_smoothing}: it must be at least 0 and below 1")


@dataclass
class Tracking:
    name: Tracker = MISSING
    project: str | None = None
