"""A checkpoint whose network is loaded later; until then its config describes it, and PyTorch is not imported."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any

from ser.config import Ensemble
from ser.data.audio_file import Int16
from ser.errors import UserError
from ser.garbage import keep_imported
from ser.inference.member import Member, is_exported, locate, open_member
from ser.inference.predictor import Predictor, check_distinct, prepare_pytorch
from ser.models.arrays import Embedding, Probabilities
from ser.models.file_names import CONFIG
from ser.models.outputs import read_outputs
from ser.models.stamp import STAMP, audio_config


@dataclass(frozen=True)
class DeferredMember(Member):
    """A checkpoint that is loaded by `load`, or by its first prediction; for one thread."""

    @cached_property
    def loaded(self) -> Member:
        """The checkpoint with its network.

        Raises:
            UserError: It cannot be loaded.
        """
        prepare_pytorch([self.name])
        member = open_member(self.name)
        if member.outputs != self.outputs:
            raise UserError(f"checkpoint={self.name}: its config was changed while it was loaded; start again")
        return member

    def load(self) -> None:
        """Load the network; see `loaded` for the exceptions."""
        assert self.loaded

    def predict(self, clips: Sequence[Int16], batch_size: int) -> Probabilities:
        """Predict clips; see `Member.predict`."""
        return self.loaded.predict(clips, batch_size)

    def embed(self, clips: Sequence[Int16], batch_size: int, frames: bool) -> tuple[Probabilities, list[Embedding]]:
        """Predict and embed clips; see `Member.embed`."""
        return self.loaded.embed(clips, batch_size, frames)


def defer_checkpoints(
    checkpoints: Sequence[str], ensemble: Ensemble, batch_size: int, temperature: float = 1.0
) -> Predictor:
    """Open checkpoints whose networks `Predictor.load` loads; see `Predictor.from_checkpoints` for the arguments.

    Raises:
        UserError: As by `Predictor.from_checkpoints`, except for faults that only loading shows.
    """
    check_distinct(checkpoints)
    members = [defer_member(given) for given in checkpoints]
    return Predictor.from_members(members, ensemble, batch_size, temperature=temperature)


def defer_member(given: str) -> Member:
    """Describe a checkpoint by its config, to load it later; an exported model is opened at once.

    Raises:
        UserError: There is no such checkpoint, or its config or its labels are at fault.
    """
    folder = locate(given)
    if is_exported(folder):
        return open_member(given)
    with keep_imported():
        from ser.models.hub import check_folder

    check_folder(folder)
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    settings, stamp = read_settings(config), dict(config.get(STAMP, {}))
    if settings is None:
        prepare_pytorch([given])
        return open_member(given)
    outputs = read_outputs(settings, str(folder), stamp)
    return DeferredMember(given, folder, audio_config(stamp).trim, outputs, stamp)


def read_settings(config: dict[str, Any]) -> Any:
    """Return the settings of config.json that name the outputs; None where only transformers can complete them."""
    try:
        labels = {int(index): label for index, label in config["id2label"].items()}
    except (AttributeError, KeyError, ValueError):
        return None
    return SimpleNamespace(id2label=labels, problem_type=config.get("problem_type"))
