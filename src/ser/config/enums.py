"""Enums for the choices of config keys."""

from enum import Enum


class Split(Enum):
    """The three parts that a protocol divides a corpus into."""

    train = "train"
    validation = "validation"
    test = "test"


class Pooling(Enum):
    """Pooling of the frames of a clip into one vector."""

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
    """Weights of the clips in the training loss, by emotion."""

    none = "none"
    balanced = "balanced"


class Choose(Enum):
    """What selects the weights that a run keeps."""

    best = "best"
    last = "last"
    inner = "inner"


class EvalStrategy(Enum):
    """The interval at which training evaluates, saves and logs."""

    steps = "steps"
    epoch = "epoch"


class Ensemble(Enum):
    """Method that combines the predictions of several checkpoints."""

    mean = "mean"
    vote = "vote"


class Tracker(Enum):
    """Service that logs training besides the run folder."""

    wandb = "wandb"
    tensorboard = "tensorboard"
    trackio = "trackio"
    none = "none"


class Quantize(Enum):
    """The type of the weights of an exported model's matrix products."""

    int8 = "int8"


class Audit(Enum):
    """Reaction to speakers or duplicates that training shares with another split."""

    warn = "warn"
    strict = "strict"


class BadRows(Enum):
    """What to do with rows of a table that have no file or no label."""

    refuse = "refuse"
    leave_out = "leave_out"


class SharedLabels(Enum):
    """The labels of several corpora together."""

    shared = "shared"
    all = "all"


class Group(Enum):
    """What a computed protocol keeps on one side of each split."""

    speaker = "speaker"
    session = "session"
    corpus = "corpus"


class Engine(Enum):
    """What decodes and predicts recordings in parallel: the threads of one process, or a Ray cluster."""

    local = "local"
    ray = "ray"
