"""Operations of a training step, and the peak of a GPU.

The Trainer's own count takes each sample of a waveform for a token, some three hundred times too many.
"""

import copy
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count
from transformers import PreTrainedModel

from ser.acceleration.attention import MASKED_SDPA

# Products of dense matrices in 16 bits, summed in 32: NVIDIA's data sheets of each (half of the figure where one gives
# it with sparsity, as from the H100 on), and for GeForce the appendices of its white papers on GA102 and Ada.
PEAKS = {
    "Tesla T4": 65e12,
    "Tesla V100-SXM2": 125e12,
    "Tesla V100-PCIE": 112e12,
    "A100-SXM4": 312e12,
    "A100-PCIE": 312e12,
    "A100": 312e12,
    "L4": 121e12,
    "A10": 125e12,
    "GeForce RTX 3090": 71e12,
    "GeForce RTX 4090": 165e12,
    "H100": 989e12,
    "H100 PCIe": 756e12,
    "H200": 989e12,
    "B200": 2250e12,
}
"""Floating-point operations a second, by the name of the device without maker and memory."""


def peak_flops(name: str) -> float | None:
    """Return the peak operations a second of a GPU; None: not known, as for a part of one (MIG)."""
    bare = re.sub(r"[- ]\d+GB( HBM\w+| PCIe)?$", "", name.removeprefix("NVIDIA "))
    return PEAKS.get(bare)


def flops_per_clip(classifier: PreTrainedModel, clips: Any, collator: Any) -> float | None:
    """Count the operations of training on a clip of median length; None where the peak of the device is unknown."""
    if not torch.cuda.is_available() or peak_flops(torch.cuda.get_device_name()) is None:
        return None
    lengths = clips.lengths()
    median = int(np.argsort(lengths, kind="stable")[len(lengths) // 2])
    return count_training_flops(classifier, collator([clips[median]]))


def share_of_peak(flops: float, clips_per_second: float) -> float:
    """Return the share a run makes of what its GPU could do: training alone is counted as work, everything as time."""
    highest = peak_flops(torch.cuda.get_device_name())
    assert highest is not None
    return flops * clips_per_second / highest


def count_training_flops(classifier: PreTrainedModel, batch: dict[str, torch.Tensor]) -> float:
    """Count the operations of a forward and a backward pass, of what is trained as the classifier is.

    A multiplication and an addition are two. Products of matrices and convolutions are counted, which is nearly all;
    what is computed twice to save memory is counted once. Nothing is computed: only the shapes of the batch matter.
    """
    twin: Any = copy_to_meta(classifier).eval()
    if twin._supports_sdpa:
        twin.set_attn_implementation(MASKED_SDPA)
    with FlopCounterMode(
        display=False, custom_mapping={torch.ops.aten.convolution_backward: count_backward_flops}
    ) as counter:
        twin(**{name: tensor.to("meta") for name, tensor in batch.items()}).loss.backward()
    return float(counter.get_total_flops())


def copy_to_meta(classifier: PreTrainedModel) -> PreTrainedModel:
    """Return a copy on the device `meta`: shapes without values."""
    tensors = [*classifier.parameters(), *classifier.buffers()]
    memo: dict[int, Any] = {}
    for tensor in tensors:
        empty = tensor.detach().to("meta")
        trained = tensor.requires_grad
        memo[id(tensor)] = torch.nn.Parameter(empty, trained) if isinstance(tensor, torch.nn.Parameter) else empty
    return copy.deepcopy(classifier, memo)


def count_backward_flops(
    gradient: Sequence[int], inputs: Sequence[int], weight: Sequence[int], *args: Any, out_shape: Any, **_: Any
) -> int:
    """Count a convolution's backward pass: the forward's operations for each gradient, of its input and its weight.

    PyTorch's own count forgets the groups of the positional convolution, 16 as it is.
    """
    transposed, wanted = args[4], args[7]
    forward = conv_flop_count(list(inputs), list(weight), list(gradient), transposed=transposed)
    return int(forward * sum(wanted[:2]))
