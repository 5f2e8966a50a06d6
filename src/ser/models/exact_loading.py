"""Load weights exactly: a tensor that is missing, unexpected or of another shape is an error."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from transformers import PretrainedConfig, PreTrainedModel

from ser.errors import UserError
from ser.models.architectures import Architecture
from ser.models.hub import load_pretrained


def load_exactly(
    source: str,
    settings: PretrainedConfig,
    architecture: Architecture,
    may_be_new: tuple[str, ...],
    cut: range = range(0),
) -> tuple[PreTrainedModel, set[str]]:
    """Read weights into float32, whatever type they are stored in.

    Args:
        source: a local folder or a repository of the hub.
        settings: the config of the classifier.
        architecture: its architecture.
        may_be_new: prefixes or endings of the tensors that may be missing.
        cut: numbers of the layers that the classifier leaves out.

    Returns:
        The classifier, and the names of the tensors that started at random.

    Raises:
        UserError: a tensor is missing, unexpected or of another shape.
    """
    classifier, report = load_pretrained(
        architecture.classifier.from_pretrained,
        source,
        config=settings,
        # The library's default is the stored type: a float16 checkpoint would be trained in float16.
        dtype=torch.float32,
        ignore_mismatched_sizes=True,  # reported, and judged below
        output_loading_info=True,
    )
    new = check_loading(source, report, architecture, may_be_new, cut)
    if "layer_weights" in new:
        # The library starts new modules by their type and forgets bare parameters: this one would hold whatever was
        # in the memory (transformers 5.23, its own Wav2Vec2ForSequenceClassification included).
        torch.nn.init.constant_(classifier.layer_weights, 1 / len(classifier.layer_weights))
    for name, tensor in classifier.named_parameters():
        if name in new and name.endswith("masked_spec_embed"):
            torch.nn.init.uniform_(tensor)  # not initialised by transformers 5.0; 5.23 does
    return classifier, new


def check_loading(
    source: str, report: dict[str, Any], architecture: Architecture, may_be_new: tuple[str, ...], cut: range
) -> set[str]:
    """Return the names of the tensors that start at random, from what transformers reports of a loading.

    Raises:
        UserError: as `load_exactly`.
    """
    if any(".lora_" in name for name in report["unexpected_keys"]):
        raise UserError(
            f"{source}: it holds the LoRA updates of an unfinished run, not the encoder; the folder `checkpoint` of a "
            "finished run has them merged"
        )
    new = set(report["missing_keys"]) | {entry[0] for entry in report["mismatched_keys"]}
    if "classifier.weight" in new and not matches_any("classifier.weight", may_be_new):
        raise UserError(
            f"{source}: it has no trained head for its labels; `ser train model.pretrained=...` makes one on an encoder"
        )
    if lost := [name for name in new if not matches_any(name, may_be_new)]:
        raise UserError(
            f"{source}: {abbreviate(lost)} missing or of another shape; the checkpoint does not match its config"
        )
    if extra := [
        name
        for name in report["unexpected_keys"]
        if not matches_any(name, architecture.other_tasks + architecture.untrained)
        and not any(f".layers.{number}." in f".{name}" for number in cut)
    ]:
        raise UserError(f"{source}: {abbreviate(extra)} unexpected; the checkpoint does not match its config")
    return new


def matches_any(name: str, parts: Iterable[str]) -> bool:
    return any(name.startswith(part) or name.endswith(part) for part in parts)


def abbreviate(names: Sequence[str]) -> str:
    shown = ", ".join(sorted(names)[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
