"""Types, meanings and rules of all config values; the values themselves are in configs/.

Hydra composes a config, `ser.apps.checked` checks it against these classes, and from then on it is a plain dataclass.
The code reads the values of the YAML files; the dataclasses add no defaults of their own.
"""

from ser.config.adapt import Adapt
from ser.config.augment import Augment
from ser.config.corpus import Corpus
from ser.config.enums import (
    Audit,
    BadRows,
    Choose,
    ClassWeights,
    Engine,
    Ensemble,
    EvalStrategy,
    Group,
    Pooling,
    Precision,
    Quantize,
    SharedLabels,
    Split,
    Tracker,
)
from ser.config.model import Audio, Model
from ser.config.predict import Predict
from ser.config.protocol import Protocol
from ser.config.stages import AUTO, Compare, Evaluate, PrepareData, Train
from ser.config.trainer import Tracking, Trainer
from ser.config.use import Export, Hub, Push, Serve

__all__ = [
    "AUTO",
    "Adapt",
    "Audio",
    "Audit",
    "Augment",
    "BadRows",
    "Choose",
    "ClassWeights",
    "Compare",
    "Corpus",
    "Engine",
    "Ensemble",
    "EvalStrategy",
    "Evaluate",
    "Export",
    "Group",
    "Hub",
    "Model",
    "Pooling",
    "Precision",
    "Predict",
    "PrepareData",
    "Protocol",
    "Push",
    "Quantize",
    "Serve",
    "SharedLabels",
    "Split",
    "Tracker",
    "Tracking",
    "Train",
    "Trainer",
]
