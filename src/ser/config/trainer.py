"""Config of training and its tracking."""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from ser.config.enums import Choose, ClassWeights, EvalStrategy, Precision, Tracker
from ser.config.identity import INCIDENTAL
from ser.config.paths import PATHS
from ser.config.ranges import RANGE, Range, check_ranges, number
from ser.errors import UserError


@dataclass
class Trainer:
    """Fields of `transformers.TrainingArguments` under the same names, and values of `ser` itself."""

    num_train_epochs: float = number(above=0)
    """Passes over the training split."""
    max_steps: int = number(least=1, also=(-1,))
    """Number of optimizer steps; a positive value overrides `num_train_epochs`."""
    per_device_train_batch_size: int = number(least=1)
    """Clips in one forward pass of training."""
    per_device_eval_batch_size: int = number(least=1)
    """Clips in one forward pass of evaluation and scoring."""
    gradient_accumulation_steps: int = number(least=1)
    """Number of forward passes whose gradients are accumulated for one optimizer step."""
    learning_rate: float = number(least=0)
    """Peak rate of the encoder."""
    head_learning_rate: float | None = number(None, least=0)
    """Peak rate of projection, classifier and layer weights; null: the encoder's."""
    lr_scheduler_type: str = MISSING
    """Learning-rate schedule of transformers (`linear`, `cosine`, `constant`, ...)."""
    warmup_steps: float = number(least=0)
    """Steps of linear warm-up; a value below 1 is a share of all steps."""
    weight_decay: float = number(least=0)
    """Decoupled weight decay of all weights except biases and norms."""
    max_grad_norm: float = number(least=0)
    """Largest norm of the gradients of a step; larger ones are scaled down to it."""
    optim: str = MISSING
    """An optimizer of transformers (`adamw_torch_fused`, `adamw_torch_8bit`, ...)."""
    eval_strategy: EvalStrategy = MISSING
    """Whether to evaluate, save and log after a number of steps or after each epoch."""
    eval_steps: int = number(least=1)
    """Optimizer steps between two evaluations, with `eval_strategy=steps`."""
    save_steps: int = number(least=1)
    """Optimizer steps between two checkpoints, with `eval_strategy=steps`; a multiple of `eval_steps`."""
    logging_steps: int = number(least=1)
    """Optimizer steps between two log lines of the training loss, with `eval_strategy=steps`."""
    save_total_limit: int = field(default=MISSING, metadata={RANGE: Range(least=0), **INCIDENTAL})
    """Number of newest checkpoints to keep. The best one is always kept as well."""
    background_checkpoints: bool = field(default=MISSING, metadata=INCIDENTAL)
    """Copy the weights and the optimizer's state in memory (12 bytes for each parameter that Adam trains) and write the
    copy in a thread. Training waits only if the previous checkpoint is not written yet. If there is no memory for a
    copy, it waits for each checkpoint, and the log has a line about it."""
    choose: Choose = MISSING
    """What selects the weights that a run keeps. `best`: the evaluation with the best `metric_for_best_model`. `last`:
    the last step; no split selects, and with `protocol.validation_speakers=0` all speakers that are not tested are
    trained on. `inner`: the number of epochs is found on inner folds of whole training speakers (each is trained as the
    run itself, so that it takes `inner_folds` times as long again); then the run trains on all of them for that number
    of epochs, under the learning-rate schedule of `num_train_epochs`."""
    inner_folds: int = number(least=2)
    """Number of inner folds, with `choose=inner`."""
    metric_for_best_model: str = MISSING
    """Selects the checkpoint or, with `choose=inner`, the number of epochs: `loss` (lowest) or one of
    `ser.evaluation.metrics.COUNT_METRICS` (highest)."""
    early_stopping_patience: int | None = number(None, least=1)
    """Number of evaluations without improvement after which training stops; null: never."""
    class_weights: ClassWeights = MISSING
    """`balanced`: a clip has the weight `N / (C n_c)` in the training loss (N clips, n_c of its emotion, C emotions in
    the training split). All emotions then have equal weight, and the mean weight of a clip is 1. The evaluation loss is
    the plain cross-entropy in every run and is not comparable with this training loss."""
    balanced_sampling: bool = MISSING
    """Draw the clips of an epoch with replacement, all emotions equally likely: clips of a rare emotion occur several
    times, and some clips of a frequent one do not occur. Overrides `extra_training_args.train_sampling_strategy`.
    Together with balanced class weights it favours rare emotions twice."""
    balanced_corpora: bool = MISSING
    """Of several corpora together: draw the clips of an epoch with replacement, all corpora equally likely. With
    `balanced_sampling`, all pairs of corpus and emotion are equally likely."""
    bucket_by_length: bool = MISSING
    """Put clips of similar length into one batch, so that there is hardly any padding. Overrides
    `extra_training_args.train_sampling_strategy`. With `balanced_sampling`, the drawn clips are bucketed. The clips of
    a batch are then also similar in properties that correlate with length, such as a slow speaker."""
    cache_features: bool = MISSING
    """If the CNN of the encoder is frozen, compute its output once for the whole corpus and store it
    (`data_dir/features`, 272 MB for RAVDESS in bfloat16); all epochs, folds and seeds read this file. The result is
    exact for encoders with a layer norm in their CNN; for a group norm, the output is that of the clip without padding.
    With `model.freeze=layers:N` or `encoder`, the hidden state after the last frozen layer is stored instead (1.5 times
    as large for a base encoder, twice for a large one), if nothing below it is random: all dropouts, layerdrop and
    SpecAugment of `model.encoder_config` are 0, and `model.weighted_layer_sum` is off. Otherwise the log names the
    reason. The test split is always scored from the audio."""
    dataset_on_gpu: bool = MISSING
    """Keep the clips of the run, or the cached output of the frozen CNN, on the GPU and make the batches there. Without
    a GPU, or if they need more than a quarter of its free memory, batches are made from the memory-mapped file, and the
    log has a line about it."""
    compile: bool = MISSING
    """Pad the training batches to at most eight lengths and compile the layers of the encoder for each length; faster
    where the GPU waits for Python. Only dropout differs: it draws other random numbers. For encoders of the wav2vec2
    family with a layer norm in their CNN and without layerdrop."""
    focal_gamma: float = number(least=0)
    """Exponent of the focal loss (arXiv 1708.02002): the loss of a clip is multiplied by `(1 - p)^focal_gamma`, where p
    is the probability of its emotion. A higher value gives less weight to easy clips; 0: no factor."""
    label_smoothing: float = number(least=0, below=1)
    """Share of the target that is spread over all emotions (arXiv 1512.00567). A higher value makes the model less
    confident; 0: one-hot targets."""
    teachers: Any = field(default_factory=list, metadata=PATHS)
    """Finished runs whose predictions on the training batches are a second target (distillation, arXiv 1503.02531): an
    ensemble becomes one model. Of a folder of several folds, the runs of the same fold, of all seeds, are taken. They
    must have the same corpus, protocol and fold, so that none was trained on a tested clip."""
    teacher_weight: float = number(least=0, most=1)
    """Share of that target in the loss; the labels have the rest."""
    teacher_temperature: float = number(above=0)
    """Divides the logits of the model and of its teachers in that target; a higher value gives unlikely emotions more
    weight."""
    precision: Precision = MISSING
    """Number format of the forward pass; `auto`: bf16 where the device has it, else fp16 on a GPU, else fp32."""
    extra_training_args: dict[str, Any] = field(default_factory=dict)
    """Any other field of transformers.TrainingArguments that no other key sets."""

    def __post_init__(self) -> None:
        """Raise a UserError for numbers out of range and for checkpoints between evaluations, which have no score."""
        check_ranges(self, "trainer.")
        self.teachers = [str(run) for run in (self.teachers if isinstance(self.teachers, list) else [self.teachers])]
        if self.teachers and self.cache_features:
            raise UserError("trainer.teachers: they need the waveforms; give trainer.cache_features=false")
        if self.eval_strategy is EvalStrategy.steps and self.save_steps % self.eval_steps:
            raise UserError(
                f"trainer.save_steps={self.save_steps}: it must be a multiple of trainer.eval_steps={self.eval_steps}"
            )
        if self.choose is not Choose.best and self.early_stopping_patience is not None:
            raise UserError(
                f"trainer.early_stopping_patience={self.early_stopping_patience}: with trainer.choose="
                f"{self.choose.value} no evaluation ends a run; give trainer.early_stopping_patience=null"
            )
        if self.choose is Choose.inner and (self.eval_strategy is EvalStrategy.steps or self.max_steps > 0):
            raise UserError(
                "trainer.choose=inner: it finds a number of epochs; give trainer.eval_strategy=epoch and "
                "trainer.max_steps=-1"
            )


@dataclass
class Tracking:
    name: Tracker = MISSING
    """Service that logs the training curves besides the run folder. trackio keeps them on this machine."""
    project: str | None = None
    """Name of the project in Weights & Biases or trackio."""
