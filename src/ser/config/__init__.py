"""Types, meanings and rules of every value a config may hold; the values themselves live in configs/.

A config is composed by Hydra, checked against these classes at one gate (`ser.apps.checked`), and from there on is a
plain dataclass: what the YAML says is what the code reads, with no default in between.
"""

from ser.config.enums import (
    Audit,
    ClassWeights,
    Ensemble,
    Interval,
    Pooling,
    Precision,
    Quantize,
    Split,
    Tracker,
)
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
    "Evaluate",
    "Export",
    "Hub",
    "Interval",
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
