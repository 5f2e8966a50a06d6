"""A device whose memory does not suffice, explained in one line."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ser.errors import UserError

TRAINING = (
    "lower trainer.per_device_train_batch_size and raise trainer.gradient_accumulation_steps, or give "
    "model.gradient_checkpointing=true, model.lora_rank=8 or trainer.optim=adamw_torch_8bit (needs torchao)"
)
EVALUATION = "lower trainer.per_device_eval_batch_size"
SIGNS = ("DefaultCPUAllocator", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""How PyTorch's allocator for the CPU, cuBLAS and cuDNN report it, as plain RuntimeErrors."""


@contextmanager
def explaining_out_of_memory(advice: str) -> Iterator[None]:
    """End with a line that says what to lower where a tensor does not fit into the memory of the device.

    Args:
        advice: the keys to change.

    Raises:
        UserError: instead of the error of PyTorch.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise UserError(f"{device_in_words()} is out of memory: {advice}") from error


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error of PyTorch means that memory is lacking."""
    return isinstance(error, torch.OutOfMemoryError) or any(sign in str(error) for sign in SIGNS)


def device_in_words() -> str:
    """The name of the device and, for a GPU, how much memory it has and this process uses."""
    if not torch.cuda.is_available():
        return "the CPU"
    free, total = torch.cuda.mem_get_info()
    used = torch.cuda.memory_allocated()
    return (
        f"{torch.cuda.get_device_name()} ({total / 2**30:.1f} GiB, {used / 2**30:.1f} of it used by this process, "
        f"{free / 2**30:.1f} free)"
    )
