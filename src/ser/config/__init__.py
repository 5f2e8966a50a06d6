"""Types, meanings and rules of all config values; the values themselves are in configs/.

Hydra composes a config, `ser.apps.checked` checks it against these classes, and from then on it is a plain dataclass.
The code reads the values of the YAML files; the dataclasses add no defaults of their own.
"""

from ser.config.enums import Audit, ClassWeights, Ensemble, EvalStrategy, Pooling, Precision, Quantize, Split, Tracker
from ser.config.model import Audio, Model
from ser.config.protocol import Corpus, Protocol
from ser.config.stages import Compare, Evaluate, PrepareData, Train
from ser.config.trainer import Tracking, Trainer
from ser.config.use import Export, Hub, Predict, Push, Serve

__all__ = [
    "Audio",
    "Audit",
    "ClassWeights",
    "Compare",
    "Corpus",
    "Ensemble",
    "EvalStrategy",
    "Evaluate",
    "Export",
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
    "Split",
    "Tracker",
    "Tracking",
    "Train",
    "Trainer",
]
