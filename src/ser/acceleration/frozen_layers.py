"""The frozen layers of an encoder, and a model that starts above them.

With the first N layers frozen and all that stands before them, the hidden state after the N-th is a constant of the
clip, as long as nothing random acts below it. `ser.acceleration.feature_cache` then stores that state instead of the
CNN's output.
"""

import copy
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

from ser.acceleration.frozen_cnn import cast_for, sha256_of
from ser.models.architectures import HEAD, find_architecture, find_layers
from ser.models.freezing import layer_index

DROPOUTS = ("feat_proj_dropout", "hidden_dropout", "attention_dropout", "activation_dropout", "layerdrop")
MASKS = ("mask_time_prob", "mask_feature_prob")
"""Entries of a config that make an encoder's output in training random; an architecture has some of them."""

HEAD_SETTINGS = ("classifier_proj_size", "projection_size", "pooling", "use_weighted_layer_sum")
"""Entries of a config that no layer reads."""


def count_frozen_layers(classifier: PreTrainedModel) -> int:
    """Count the frozen layers from the first on; 0 if something before them is trained."""
    architecture = find_architecture(classifier.config)
    trained = [
        name for name, tensor in classifier.named_parameters() if tensor.requires_grad and not name.startswith(HEAD)
    ]
    if not all(name.startswith(architecture.layers) for name in trained):
        return 0
    count = len(list(find_layers(classifier).children()))
    return min((layer_index(name, architecture) for name in trained), default=count)


def reason_not_cacheable(config: PretrainedConfig) -> str:
    """Return why the output of the frozen layers cannot be cached; empty if it can."""
    if config.use_weighted_layer_sum:
        return "model.weighted_layer_sum reads the states below them as well"
    if getattr(config, "add_adapter", False) or getattr(config, "conv_pos_batch_norm", False):
        return "config.json has add_adapter or conv_pos_batch_norm, which is not provided for"
    names = (*DROPOUTS, *MASKS) if getattr(config, "apply_spec_augment", True) else DROPOUTS
    acting = [f"model.encoder_config.{name}={getattr(config, name)}" for name in names if getattr(config, name, 0) > 0]
    if not acting:
        return ""
    return f"{', '.join(acting)}: their output is random; they are cached with 0 there, for all layers"


@dataclass(frozen=True)
class FrozenLayers:
    """The lower part of an encoder that ends with a layer; a `ser.acceleration.frozen_part.FrozenPart`."""

    depth: int
    """Layers that belong to it, at least one."""

    @property
    def name(self) -> str:
        return f"encoder up to layer {self.depth}"

    def weights(self, classifier: PreTrainedModel) -> list[tuple[str, torch.Tensor]]:
        """Return the tensors that decide the output of the last of these layers, by name, and hardly any others.

        The vector of SpecAugment is none of them: a checkpoint may lack it, and then it is random.
        """
        architecture = find_architecture(classifier.config)
        return [
            (name, tensor)
            for name, tensor in classifier.named_parameters()
            if not name.startswith(HEAD)
            and not name.endswith(architecture.untrained)
            and not (name.startswith(architecture.layers) and layer_index(name, architecture) >= self.depth)
        ]

    def fingerprint(self, classifier: PreTrainedModel) -> str:
        """Compute the sha256 of everything that decides the output of these layers for a waveform."""
        config = classifier.config
        common = PretrainedConfig().to_dict()
        shape = {key: value for key, value in config.to_dict().items() if key not in {*common, *HEAD_SETTINGS}}
        shape |= {"attention": config._attn_implementation, "depth": self.depth}
        return sha256_of(dict(sorted(shape.items())), self.weights(classifier))

    def channels(self, config: PretrainedConfig) -> int:
        """Width of a hidden state."""
        return int(config.hidden_size)

    @torch.no_grad()
    def run(self, classifier: PreTrainedModel, waveforms: torch.Tensor) -> torch.Tensor:
        """Compute the hidden state after the last of these layers for waveforms `(batch, samples)` without padding.

        Returns:
            `(batch, channels, frames)`, as the CNN's output comes.
        """
        model = classifier.encoder_module()
        lower = lower_layers(model, self.depth)
        states: torch.Tensor = type(model).forward(lower, waveforms).last_hidden_state
        return states.transpose(1, 2)

    def install(self, classifier: PreTrainedModel) -> None:
        """Let a classifier take `(batch, channels, frames)` of `run` as its `input_values`, with the mask of samples.

        A waveform `(batch, samples)` still goes through the whole encoder. Modules, tensors and their names stay what
        they are, so a checkpoint is the same with and without; installing twice is installing once.
        """
        model = classifier.encoder_module()
        model.forward = partial(forward_states_or_waveform, model, self.depth)


def forward_states_or_waveform(
    model: Any, depth: int, inputs: torch.Tensor, attention_mask: torch.Tensor | None = None, **settings: Any
) -> Any:
    """Run a waveform through the whole encoder, hidden states through the layers from `depth` on."""
    if inputs.dim() == 2:
        return type(model).forward(model, inputs, attention_mask=attention_mask, **settings)
    states = cast_for(model, inputs.transpose(1, 2))
    if not find_architecture(model.config).wav2vec2_layout:
        upper = upper_layers_of_moonshine(model, depth, states)
        return type(model).forward(upper, states[..., 0], attention_mask=attention_mask)
    if attention_mask is not None:
        attention_mask = model._get_feature_vector_attention_mask(states.shape[1], attention_mask)
    return upper_layers(model.encoder, depth)(states, attention_mask=attention_mask)


def shallow_copy_with(module: Any, **parts: nn.Module) -> Any:
    """Return a module that shares everything with another except the given parts."""
    twin = copy.copy(module)
    twin._modules = {**module._modules, **parts}
    return twin


def lower_layers(model: Any, depth: int) -> Any:
    """Return an encoder that ends with a layer, before any norm that follows the last one."""
    if not find_architecture(model.config).wav2vec2_layout:
        return shallow_copy_with(model, layers=model.layers[:depth], layer_norm=nn.Identity())
    parts = {"layers": model.encoder.layers[:depth]}
    if has_final_norm(model.config):
        parts["layer_norm"] = nn.Identity()
    return shallow_copy_with(model, encoder=shallow_copy_with(model.encoder, **parts))


def upper_layers(encoder: Any, depth: int) -> Any:
    """Return the transformer of the wav2vec2 line without what stands before a layer.

    Made anew for each batch, in microseconds: whether it trains is then what its own encoder does.
    """
    layers = encoder.layers[depth:]
    if len(layers) and hasattr(encoder.layers[0].attention, "rel_attn_embed"):
        # WavLM's first layer makes the bias that all others use: here the first of the upper ones makes the same.
        attention = shallow_copy_with(layers[0].attention, rel_attn_embed=encoder.layers[0].attention.rel_attn_embed)
        layers[0] = shallow_copy_with(layers[0], attention=attention)
    parts = {"layers": layers, "pos_conv_embed": ZeroPositionalEmbedding()}
    if not has_final_norm(encoder.config):
        parts["layer_norm"] = nn.Identity()
    return shallow_copy_with(encoder, **parts)


def upper_layers_of_moonshine(encoder: Any, depth: int, states: torch.Tensor) -> Any:
    """Moonshine's encoder without what stands before a layer.

    It calls activations between its convolutions, which states would not survive: they come in with the layers. What
    goes in before has their shape, from which mask and rotary positions are made.
    """
    return shallow_copy_with(
        encoder,
        conv1=Constant(states.transpose(1, 2)),
        groupnorm=nn.Identity(),
        conv2=nn.Identity(),
        conv3=nn.Identity(),
        layers=nn.ModuleList([Constant(states), *encoder.layers[depth:]]),
    )


def has_final_norm(config: PretrainedConfig) -> bool:
    """Return whether a layer norm follows the layers (wav2vec2 layout); otherwise it precedes them."""
    return bool(getattr(config, "do_stable_layer_norm", False))  # data2vec knows no other than the latter


class ZeroPositionalEmbedding(nn.Module):
    """A positional embedding of zero: the hidden states have theirs already."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return hidden_states.new_zeros(())


class Constant(nn.Module):
    """A module whose output is always the same tensor."""

    def __init__(self, answer: torch.Tensor) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, *inputs: Any, **settings: Any) -> torch.Tensor:
        return self.answer
