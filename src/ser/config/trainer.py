"""How a model is trained."""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from ser.config.enums import Attention, ClassWeights, Interval, Precision, Tracker
from ser.config.ranges import check_ranges, number
from ser.errors import UserError


@dataclass
class Trainer:
    """What we set of `transformers.TrainingArguments`, under the same names where it has one."""

    num_train_epochs: float = number(above=0)
    """Passes over the training split."""
    max_steps: int = number(least=1, also=(-1,))
    """Optimizer steps; overrides the epochs where it is positive."""
    per_device_train_batch_size: int = number(least=1)
    """Clips of one forward pass in training."""
    per_device_eval_batch_size: int = number(least=1)
    """Clips of one forward pass in evaluation and scoring."""
    gradient_accumulation_steps: int = number(least=1)
    """Forward passes whose gradients one optimizer step sums up."""
    learning_rate: float = number(least=0)
    """Peak rate of the encoder."""
    head_learning_rate: float | None = number(None, least=0)
    """Peak rate of projection, classifier and layer weights; null: the encoder's."""
    lr_scheduler_type: str = MISSING
    """How the learning rate changes: a schedule of transformers (`linear`, `cosine`, `constant`, ...)."""
    warmup_steps: float = number(least=0)
    """Steps of linear warm-up; a value below 1 is a share of all steps."""
    weight_decay: float = number(least=0)
    """Decoupled weight decay of the optimizer, of all weights but biases and norms."""
    max_grad_norm: float = number(least=0)
    """Largest norm of the gradients of a step; larger ones are scaled down to it."""
    optim: str = MISSING
    """An optimizer of transformers (`adamw_torch_fused`, `adamw_torch_8bit`, ...)."""
    eval_strategy: Interval = MISSING
    """Evaluate, save and log every so many steps, or after each epoch."""
    eval_steps: int = number(least=1)
    """Optimizer steps between two evaluations, with `eval_strategy=steps`."""
    save_steps: int = number(least=1)
    """Optimizer steps between two checkpoints, with `eval_strategy=steps`; a multiple of `eval_steps`."""
    logging_steps: int = number(least=1)
    """Optimizer steps between two lines of the training loss, with `eval_strategy=steps`."""
    save_total_limit: int = number(least=0)
    """Checkpoints kept, the newest ones. Those that are needed stay even above it: the newest, the best one, and what
    resuming starts from."""
    save_optimizer_every: int = number(least=0)
    """Every so many checkpoints one holds the optimizer's state, two thirds of what is written; the others hold the
    weights, all that the best one needs. A resumed run goes on from the newest that has it, and what came after is
    trained again. 1: all of them; 0: none, an interrupted run starts again."""
    background_checkpoints: bool = MISSING
    """Copy weights and the optimizer's state in memory (12 bytes for each parameter that Adam trains) and let a thread
    write the copy. Training goes on meanwhile and waits only where the checkpoint before is not yet written. Where the
    memory has no room for a copy, it waits for each, and the log says so."""
    metric_for_best_model: str = MISSING
    """`loss` (least) or one of `ser.evaluation.metrics.COUNT_METRICS` (greatest), on the validation list."""
    early_stopping_patience: int | None = number(None, least=1)
    """Stop after so many evaluations without improvement; null: never."""
    class_weights: ClassWeights = MISSING
    """`balanced`: a clip counts `N / (C n_c)` in the loss of training, the rarer its emotion the more (N clips, n_c of
    its emotion, C emotions in the training list), so that the emotions count alike and a clip 1 on average. The
    evaluation loss stays the plain cross-entropy whatever this and the keys below say: it means the same in every
    run, and is not to be compared with their training loss."""
    balanced_sampling: bool = MISSING
    """Each epoch draws as many clips as the training list has, with replacement, every emotion equally likely: clips
    of a rare one are heard several times, some of a frequent one not at all. It overrides
    `extra_training_args.train_sampling_strategy`; with balanced class weights a rare emotion is favoured twice over."""
    bucket_by_length: bool = MISSING
    """Each epoch draws an order that puts clips of like length into one batch: nearly nothing is computed on padding.
    It overrides `extra_training_args.train_sampling_strategy`. With `balanced_sampling`, the drawn clips are bucketed.
    What the clips of a batch share besides, an emotion that is spoken slowly or a slow speaker, is no longer spread
    over all batches."""
    attention: Attention = MISSING
    """`sdpa` is PyTorch's own; in bfloat16 on a CPU with dropout the plain code (`eager`) is faster."""
    quick_dropout: bool = MISSING
    """On a CPU, draw the masks of dropout by a fast generator: other zeros, as many (`ser.acceleration.fast_dropout`).
    Nothing changes with `compile`."""
    cache_features: bool = MISSING
    """Where the CNN in front of the encoder is frozen, compute its output once for the whole corpus and keep it
    (`data_dir/features`, 272 MB for RAVDESS in bfloat16): every epoch, fold and seed reads it there. Exact for encoders
    with a layer norm in their CNN; for those with a group norm it is the answer for the clip alone, without padding.
    With `model.freeze=layers:N`, or `encoder`, it is the hidden state after the last frozen layer that is kept (1.5
    times as large for a base encoder, twice for a large one), if nothing is random below it: all dropouts, layerdrop
    and SpecAugment of `model.encoder_config` are 0, and `model.weighted_layer_sum` is off. Else the log says what
    stands in the way.
    The test list is scored from the audio whatever this says."""
    dataset_on_gpu: bool = MISSING
    """Keep the clips of the run on the GPU, or the output of the frozen CNN in their place, and make the batches there:
    no loader, no copies. Where there is no GPU, or they take more than a quarter of its free memory, the log says so
    and batches are made from the memory-mapped file."""
    compile: bool = MISSING
    """Pad the batches of training to at most eight lengths and compile the layers of the encoder for each: for a GPU
    that waits for Python. The maths stays the same, dropout draws other numbers. Encoders of the wav2vec2 line with a
    layer norm in their CNN and without layerdrop."""
    focal_gamma: float = number(least=0)
    """The loss of a clip is multiplied by `(1 - p)^focal_gamma`, p the probability given to its emotion (focal loss,
    arXiv 1708.02002): the higher, the less training cares about what is recognised already; 0: all clips alike."""
    label_smoothing: float = number(least=0, below=1)
    """Share of the target that is spread over all emotions (arXiv 1512.00567): the higher, the less sure of itself the
    model is made; 0: all of it on the emotion of the clip."""
    precision: Precision = MISSING
    """Number format of the forward pass; `auto`: bf16 where the device has it, else fp16 on a GPU, else fp32."""
    extra_training_args: dict[str, Any] = field(default_factory=dict)
    """Any other field of transformers.TrainingArguments: one that no key of ours decides."""

    def __post_init__(self) -> None:
        """Refuse what cannot be, and checkpoints that no evaluation judges: the best could not be found there."""
        check_ranges(self, "trainer.")
        if self.eval_strategy is Interval.steps and self.save_steps % self.eval_steps:
            raise UserError(
                f"trainer.save_steps={self.save_steps}: it must be a multiple of trainer.eval_steps={self.eval_steps}"
            )


@dataclass
class Tracking:
    name: Tracker = MISSING
    """Where the curves of training are logged besides the run folder. trackio keeps them on this machine."""
    project: str | None = None
    """The project in Weights & Biases or in trackio."""
