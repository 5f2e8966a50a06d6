"""What fine-tuning an encoder needs in GPU memory, as a Markdown table (python scripts/memory.py --model xlsr_1b).

Computed, not measured on a GPU: `ser`'s classifier is built on PyTorch's meta device (shapes without data). Weights,
gradients and optimizer states follow from its parameters. For activations a micro-step, forward and backward, runs
there with the types of CUDA's autocast; every storage that an operation makes is counted while it lives, and the most
that lived at once is shown: with autocast's 16-bit copies of the weights, the layer that checkpointing recomputes, and
passing buffers. Gradients are taken to be there already, as in the second micro-step of an accumulation.
"""

import argparse
import math
import warnings
import weakref
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from hydra import compose, initialize_config_dir
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, is_traceable_wrapper_subclass
from torch.utils._pytree import tree_leaves, tree_map
from transformers import PreTrainedModel

from ser import config
from ser.apps import CONFIGS, SCHEMAS, checked
from ser.corpora.ravdess import EMOTION_CODES
from ser.models import checkpoint, freezing
from ser.models.architectures import find_layers

GIB = 2**30
T4 = 14.6  # GiB that a program can have of its 16 GB
ROOM = 1.0  # GiB that what is left out may well take: a total nearer than this to the limit is not called a fit
# Autocast's lists for CUDA, as far as these encoders call them; what is on neither keeps the type of its input.
LOW_PRECISION = {F.linear, F.conv1d, F.scaled_dot_product_attention, torch.matmul}
FULL_PRECISION = {F.layer_norm, F.group_norm, F.softmax}
# What a published config.json brings beyond configs/model/*.yaml; wav2vec2_base has the library's default shape.
DEEP = dict(num_attention_heads=16, feat_extract_norm="layer", do_stable_layer_norm=True, conv_bias=True)
LARGE = dict(hidden_size=1024, num_hidden_layers=24, intermediate_size=4096, **DEEP)
SHAPES: dict[str, dict[str, Any]] = {
    "wav2vec2_base": dict(model_type="wav2vec2"),
    "xlsr_300m": dict(model_type="wav2vec2", **LARGE),
    "xlsr_1b": dict(model_type="wav2vec2", hidden_size=1280, num_hidden_layers=48, intermediate_size=5120, **DEEP),
    "xlsr_2b": dict(model_type="wav2vec2", hidden_size=1920, num_hidden_layers=48, intermediate_size=7680, **DEEP),
    "hubert_large": dict(model_type="hubert", **LARGE),
}


class Autocast(TorchFunctionMode):
    """CUDA's autocast, and the kernels that CUDA would choose, for the meta device, which has neither."""

    def __init__(self) -> None:
        super().__init__()
        self.copies: dict[torch.Tensor, torch.Tensor] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in LOW_PRECISION:
            args, kwargs = tree_map(self.low, (args, kwargs))
        elif func in FULL_PRECISION:
            args, kwargs = tree_map(lambda x: x.float() if isinstance(x, torch.Tensor) else x, (args, kwargs))
        if func is F.scaled_dot_product_attention and args[0].is_meta:
            # The kernel that every CUDA device has (a T4 has no flash attention).
            kernel = torch.ops.aten._scaled_dot_product_efficient_attention
            return kernel(*args[:3], None, True, kwargs["dropout_p"], False, scale=kwargs["scale"])[0]
        if func is F.dropout and kwargs["training"] and kwargs["p"] > 0:
            # CUDA's kernel keeps a byte for each value; the meta device would keep a tensor of the input's type.
            return torch.native_dropout(args[0], kwargs["p"], True)[0]
        return func(*args, **kwargs)

    def low(self, value: Any) -> Any:
        """The 16-bit copy; autocast keeps that of a trained weight until the pass is over."""
        if not isinstance(value, torch.Tensor) or value.dtype != torch.float32:
            return value
        if not (value.requires_grad and value.is_leaf):
            return value.half()
        if value not in self.copies:
            self.copies[value] = value.half()
        return self.copies[value]

    def __exit__(self, *error: Any) -> None:
        self.copies.clear()
        super().__exit__(*error)


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of the storages that operations make, while they live; those of `known` tensors not."""

    def __init__(self, known: Iterable[torch.Tensor]) -> None:
        super().__init__()
        self.live = self.peak = 0
        self.seen = {tensor.untyped_storage()._cdata for tensor in known}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        tensors = [tensor for tensor in tree_leaves(made) if isinstance(tensor, torch.Tensor)]
        # A wrapper, such as torchao's 8-bit state, has the size of what it stands for and no memory of its own.
        for storage in (tensor.untyped_storage() for tensor in tensors if not is_traceable_wrapper_subclass(tensor)):
            if storage._cdata not in self.seen:
                self.seen.add(storage._cdata)
                self.live += storage.nbytes()
                self.peak = max(self.peak, self.live)
                weakref.finalize(storage, self.forget, storage._cdata, storage.nbytes())
        return made

    def forget(self, address: int, size: int) -> None:
        self.seen.discard(address)
        self.live -= size


@dataclass(frozen=True)
class Setting:
    """A way to fine-tune: a row of the table."""

    name: str
    freeze: str = "cnn"
    lora_rank: int | None = None
    checkpointing: bool = False
    eight_bit: bool = False
    gpus: int = 1
    """Over which FSDP spreads weights, gradients and optimizer; the row is that of one of them."""

    def states(self, size: int) -> int:
        """Bytes that the optimizer keeps of a tensor: two moments, in bitsandbytes with a scale for each 256 values."""
        return 2 * size + 2 * 4 * math.ceil(size / 256) if self.eight_bit and size >= 4096 else 2 * 4 * size


SETTINGS = (
    Setting("full, AdamW"),
    Setting("full, AdamW, checkpointing", checkpointing=True),
    Setting("full, 8-bit AdamW, checkpointing", checkpointing=True, eight_bit=True),
    Setting("full, AdamW, FSDP over 2 GPUs, each", gpus=2),
    Setting("full, AdamW, FSDP over 4 GPUs, each", gpus=4),
    Setting("LoRA rank 8 on q, v", lora_rank=8),
    Setting("LoRA rank 8 on q, v, checkpointing", lora_rank=8, checkpointing=True),
    Setting("head only, encoder frozen", freeze="encoder"),
)


class Need(NamedTuple):
    """Bytes."""

    weights: int
    gradients: int
    optimizer: int
    activations: int


def published(name: str) -> config.Model:
    """An encoder of configs/model in its real shape, with random weights."""
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        model: config.Model = checked(compose("train", overrides=[f"model={name}"]), SCHEMAS["train"]).model
    return replace(model, pretrained=None, encoder_config={**SHAPES[name], **model.encoder_config})


def classifier_of(model: config.Model, setting: Setting, device: str = "meta") -> PreTrainedModel:
    """The classifier of `ser train`, ready to be trained."""
    # No layer is dropped: the most of a step. SpecAugment keeps little, and reads values that the meta device lacks.
    model = replace(model, encoder_config={**model.encoder_config, "layerdrop": 0.0, "apply_spec_augment": False})
    with torch.device(device):
        classifier, _ = checkpoint.build(model, list(EMOTION_CODES))
    classifier.to(device)  # the library makes the SpecAugment vector on the CPU, whatever the context says
    # The clips are of one length: the library drops the mask of such a batch, but reads its values to find out.
    classifier.encoder_mask = lambda attention_mask, frames: None
    with torch.device(device):
        # Checkpointing is switched on below, with a context that a run does not need.
        freezing.freeze_and_adapt(classifier, replace(model, freeze=setting.freeze, lora_rank=setting.lora_rank))
    if setting.checkpointing:
        # PyTorch does not know this Autocast: without the context it would recompute a layer outside it.
        options = {"use_reentrant": False, "context_fn": lambda: (nullcontext(), Autocast())}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # the name that every transformers 5 knows
            classifier.gradient_checkpointing_enable(options)
    return classifier.train()


def activations(classifier: PreTrainedModel, batch: int, samples: int) -> int:
    """Most bytes alive at once in a micro-step, besides parameters and their gradients."""
    parameters = list(classifier.parameters())
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    for parameter in trained:
        parameter.grad = torch.zeros_like(parameter)
    device = parameters[0].device
    with LiveBytes([*parameters, *(parameter.grad for parameter in trained)]) as counter:
        audio, labels = torch.zeros(batch, samples, device=device), torch.zeros(batch, dtype=torch.long, device=device)
        with Autocast():
            loss = classifier(audio, labels=labels).loss
        loss.backward()
    return counter.peak


def need(model: config.Model, setting: Setting, batch: int, samples: int) -> Need:
    classifier = classifier_of(model, setting)
    trained = [parameter.numel() for parameter in classifier.parameters() if parameter.requires_grad]
    weights = 4 * sum(parameter.numel() for parameter in classifier.parameters())
    states, passing = sum(map(setting.states, trained)), activations(classifier, batch, samples)
    if setting.gpus > 1:
        passing += gathered(classifier)
    return Need(weights // setting.gpus, 4 * sum(trained) // setting.gpus, states // setting.gpus, passing)


def gathered(classifier: PreTrainedModel) -> int:
    """Bytes of the weights that FSDP gathers at once: those outside the layers, a layer, and the next one."""
    layers = find_layers(classifier).children()
    sizes = [sum(parameter.numel() for parameter in layer.parameters()) for layer in layers]
    outside = sum(parameter.numel() for parameter in classifier.parameters()) - sum(sizes)
    return 4 * (outside + sum(sorted(sizes)[-2:]))


def row(setting: str, needed: Need) -> str:
    total = sum(needed) / GIB
    fits = "no" if total > T4 else "barely" if total > T4 - ROOM else "yes"
    return " | ".join([f"| {setting}", *(f"{value / GIB:.2f}" for value in needed), f"{total:.2f}", f"{fits} |"])


def table(name: str, batch: int, seconds: float) -> str:
    needs = [need(published(name), setting, batch, round(seconds * 16000)) for setting in SETTINGS]
    rows = "\n".join(row(setting.name, needed) for setting, needed in zip(SETTINGS, needs, strict=True))
    return f"""## {name}: {needs[0].weights / 4e6:.0f} million parameters, {batch} clips of {seconds:g} s

| setting | weights | gradients | optimizer | activations | total (GiB) | fits 16 GB |
|---|---|---|---|---|---|---|
{rows}

Computed from shapes, not measured on a GPU. Weights, gradients and AdamW's states are float32 (8-bit AdamW as in
bitsandbytes), arithmetic is float16 or bfloat16 by autocast, the CNN is frozen. Activations are the peak of a
micro-step, autocast's 16-bit copies of the weights among them. 16 GB: a T4, of which {T4} GiB are usable. Left out:
CUDA context, fragmentation, buffers inside kernels (cuDNN, cuBLAS); "barely" leaves less than {ROOM:g} GiB to them."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", choices=SHAPES, default="xlsr_1b")
    parser.add_argument("--batch", type=int, default=4, help="clips of a micro-batch")
    parser.add_argument("--seconds", type=float, default=3.7, help="length of the longest clip in it")
    given = parser.parse_args()
    if given.batch < 1 or given.seconds < 0.1:
        parser.error("--batch must be at least 1, --seconds at least 0.1")
    print(table(given.model, given.batch, given.seconds))


if __name__ == "__main__":
    main()
