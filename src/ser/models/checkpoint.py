"""Build a classifier from a pretrained encoder, save it in the layout of transformers, and load it again exactly.

What a checkpoint lacks or brings beyond the head is an error, never a tensor that silently starts at random.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    PretrainedConfig,
    PreTrainedModel,
    SequenceFeatureExtractor,
)

from ser import checksums, config
from ser.errors import UserError, explain
from ser.files import replacing, sync
from ser.models.architectures import HEAD, Architecture, find_architecture, normalizes_over_time
from ser.models.exact_loading import load_exactly
from ser.models.hub import check_folder, load_pretrained
from ser.models.outputs import Outputs, read_outputs
from ser.models.stamp import STAMP

log = logging.getLogger("ser")


def build(model: config.Model, labels: Sequence[str]) -> tuple[PreTrainedModel, SequenceFeatureExtractor]:
    """Build a classifier with a new head on a pretrained or random encoder, in float32, and its feature extractor.

    Raises:
        UserError: the checkpoint cannot be had, is of an unknown kind, or does not match its own config.
    """
    settings = encoder_config(model)
    source = model.pretrained or f"model '{model.name}'"
    architecture = find_architecture(settings, source)
    if model.do_normalize is not None and architecture.takes_features:
        raise UserError(f"model.do_normalize={str(model.do_normalize).lower()}: {model.name} takes no waveform")
    cut = cut_layers(model, architecture, settings)
    settings.update(head_config(model, architecture, labels))
    if model.pretrained is None:
        log.info("model %s: random weights, nothing pretrained", model.name)
        classifier = build_random_classifier(model, architecture, settings)
        return classifier, set_normalization(architecture.default_extractor(settings), model.do_normalize)
    may_be_new = HEAD + architecture.untrained
    classifier, new = load_exactly(model.pretrained, settings, architecture, may_be_new, cut)
    log.info("encoder %s loaded; new tensors: %s", model.pretrained, ", ".join(sorted(new)))
    return classifier, set_normalization(load_extractor(model.pretrained, settings), model.do_normalize)


def set_normalization(extractor: SequenceFeatureExtractor, wanted: bool | None) -> SequenceFeatureExtractor:
    """Let a feature extractor normalise waveforms or not, and return it; None leaves it as it is."""
    if wanted is not None and extractor.do_normalize != wanted:
        log.info(
            "model.do_normalize = %s (the extractor brings %s)", *(str(one).lower() for one in (wanted, not wanted))
        )
        extractor.do_normalize = wanted
    return extractor


def cut_layers(model: config.Model, architecture: Architecture, settings: PretrainedConfig) -> range:
    """Set the number of layers that `model.num_layers` keeps, and return the numbers of those that it leaves out.

    Raises:
        UserError: the encoder has fewer layers.
    """
    there = int(getattr(settings, architecture.layers_key))
    if model.num_layers is None:
        return range(0)
    if model.num_layers > there:
        raise UserError(f"model.num_layers={model.num_layers}: {model.pretrained or model.name} has {there} layers")
    settings.update({architecture.layers_key: model.num_layers})
    log.info("the first %d of %d layers are kept", model.num_layers, there)
    return range(model.num_layers, there)


def build_random_classifier(
    model: config.Model, architecture: Architecture, settings: PretrainedConfig
) -> PreTrainedModel:
    """Build a classifier of random weights.

    Raises:
        UserError: there is no encoder of the shape that `model.encoder_config` gives.
    """
    try:
        return architecture.classifier(settings)
    except (AssertionError, IndexError, RuntimeError, TypeError, ValueError, ZeroDivisionError) as error:
        raise UserError(
            f"model.encoder_config: no {settings.model_type} can have this shape ({explain(error)})"
        ) from error


def head_config(model: config.Model, architecture: Architecture, labels: Sequence[str]) -> dict[str, Any]:
    """Return the settings of the head in config.json; see `PooledHead.make_head` for the two projection sizes."""
    values: dict[str, Any] = {
        "id2label": dict(enumerate(labels)),
        "label2id": {label: index for index, label in enumerate(labels)},
        "num_labels": len(labels),
        # An encoder that was fine-tuned for something else brings the problem that it solved.
        "problem_type": "single_label_classification",
        "use_weighted_layer_sum": model.weighted_layer_sum,
        "classifier_proj_size": model.classifier_proj_size,
    }
    if model.pooling is not config.Pooling.mean or not architecture.stock:
        own = {"pooling": model.pooling.value, "projection_size": model.classifier_proj_size}
        values.update(own, classifier_proj_size=1)
    return values


def encoder_config(model: config.Model) -> PretrainedConfig:
    """Return the encoder's config with the run's own settings, and log each of them."""
    if model.pretrained is None:
        given = dict(model.encoder_config)
        try:
            return AutoConfig.for_model(given.pop("model_type"), **given)
        except (StrictDataclassError, TypeError, ValueError) as error:
            raise UserError(f"model.encoder_config: {explain(error)}") from error
    settings = load_pretrained(AutoConfig.from_pretrained, model.pretrained)
    if unknown := [key for key in model.encoder_config if not hasattr(settings, key)]:
        raise UserError(
            f"model.encoder_config.{unknown[0]}: {model.pretrained} ({settings.model_type}) has no such setting"
        )
    for key, value in model.encoder_config.items():
        brought = getattr(settings, key)
        replaced = f" (the checkpoint brings {brought})" if brought != value else ""
        log.info("model.encoder_config.%s = %s%s", key, value, replaced)
    settings.update(model.encoder_config)
    return settings


def load(folder: Path, labels: Sequence[str]) -> tuple[PreTrainedModel, SequenceFeatureExtractor]:
    """Load a fine-tuned checkpoint whole: every tensor must be there, and no other.

    Raises:
        UserError: the folder is no checkpoint of the package, or its labels are not `labels` in this order.
    """
    # Not config.json: labels may be renamed there.
    if found := checksums.fault(folder, "*.safetensors") or checksums.fault(folder, "preprocessor_config.json"):
        raise UserError(f"{found}: it is not what was saved; get the checkpoint again")
    settings = load_pretrained(AutoConfig.from_pretrained, str(folder))
    check_labels(folder, [str(settings.id2label[index]) for index in sorted(settings.id2label)], labels)
    classifier, _ = load_exactly(str(folder), settings, find_architecture(settings, str(folder)), may_be_new=())
    return classifier, load_extractor(str(folder), settings)


def check_labels(folder: Path, held: Sequence[str], labels: Sequence[str]) -> None:
    """Raise a UserError where a checkpoint's labels are not those of the corpus, in its order."""
    if list(held) != list(labels):
        raise UserError(f"{folder}: its labels are {', '.join(held)}, those of the corpus {', '.join(labels)}")


@dataclass(frozen=True)
class Checkpoint:
    """A fine-tuned checkpoint, loaded for inference."""

    classifier: PreTrainedModel
    extractor: SequenceFeatureExtractor
    outputs: Outputs
    """The labels and the activation of its logits."""
    stamp: dict[str, Any]
    """The data and the run that it was trained by; empty where `ser train` did not write it."""

    @property
    def labels(self) -> list[str]:
        """Emotions, in the order of the logits."""
        return self.outputs.labels


def open_checkpoint(folder: Path) -> Checkpoint:
    """Load a checkpoint for use, its labels as they are.

    Raises:
        UserError: the folder is no checkpoint of a family that the package knows, or its head gives no probabilities.
    """
    check_folder(folder)
    settings = load_pretrained(AutoConfig.from_pretrained, str(folder))
    stamp = dict(getattr(settings, STAMP, {}))
    outputs = read_outputs(settings, str(folder), stamp)
    classifier, extractor = load(folder, outputs.labels)
    return Checkpoint(classifier.eval(), extractor, outputs, stamp)


def load_extractor(source: str, settings: PretrainedConfig) -> SequenceFeatureExtractor:
    """Load the feature extractor of a checkpoint."""
    extractor = load_pretrained(AutoFeatureExtractor.from_pretrained, source)
    # Several published preprocessor files carry the wrong flag; the norm of the CNN decides.
    extractor.return_attention_mask = not normalizes_over_time(settings)
    return extractor


def save(classifier: PreTrainedModel, extractor: SequenceFeatureExtractor, folder: Path, stamp: dict[str, Any]) -> None:
    """Write a stamped checkpoint in the layout of transformers, whole or not at all."""
    setattr(classifier.config, STAMP, stamp)
    kind = type(classifier)
    if hasattr(classifier.config, "projection_size"):
        # transformers has no class with these predictions: save the code as well.
        kind.register_for_auto_class("AutoModelForAudioClassification")
        log.info(
            "%s is not in transformers: its pipeline loads the checkpoint with trust_remote_code=True", kind.__name__
        )
    with replacing(folder, folder=True) as temporary:
        classifier.save_pretrained(temporary)
        extractor.save_pretrained(temporary)
        checksums.write(temporary)
        sync(temporary)  # hours of work, and a rename that may reach the disk before what it renames
    kind._auto_class = None  # the next checkpoint of this class may need no code


def stamp_of(folder: Path) -> dict[str, Any]:
    """Return the stamp of a checkpoint.

    Raises:
        UserError: the folder is no checkpoint, or was not written by `ser train`.
    """
    check_folder(folder)
    stamp = json.loads((folder / "config.json").read_text(encoding="utf-8")).get(STAMP, {})
    if "corpus" not in stamp:
        raise UserError(f"{folder}: its config.json does not say what it was trained on; `ser train` did not write it")
    return dict(stamp)
