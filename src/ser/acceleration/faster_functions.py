"""Functions of PyTorch that have a faster equivalent for training in bfloat16 on a CPU."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from ser.acceleration.fast_dropout import dropout
from ser.acceleration.grouped_convolution import conv1d

FASTER: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.nn.functional.dropout: dropout,
    torch.nn.functional.conv1d: conv1d,
}


def use_faster_functions(wanted: bool, device: torch.device) -> AbstractContextManager[Any]:
    """Compute the functions of `FASTER` by their equivalents inside the context; on a GPU nothing changes."""
    return FasterFunctionsMode() if wanted and device.type == "cpu" else nullcontext()


class FasterFunctionsMode(TorchFunctionMode):
    """Takes the place of functions of PyTorch for tensors on a CPU, whoever calls them."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Compute the functions of `FASTER`; leave everything else to PyTorch."""
        return FASTER.get(function, function)(*args, **(kwargs or {}))
