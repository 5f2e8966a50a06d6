"""Errors of a device that is out of memory, explained in one line."""

from collections.abc import Iterator
from contextlib import contextmanager

from ser.errors import UserError

TRAINING = (
    "lower trainer.per_device_train_batch_size and raise trainer.gradient_accumulation_steps, or give "
    "model.gradient_checkpointing=true, model.lora_rank=8 or trainer.optim=adamw_torch_8bit (needs torchao)"
)
EVALUATION = "lower trainer.per_device_eval_batch_size"
SIGNS = ("DefaultCPUAllocator", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""Signs of it in the plain RuntimeErrors of PyTorch's CPU allocator, cuBLAS and cuDNN."""


@contextmanager
def explaining_out_of_memory(advice: str) -> Iterator[None]:
    """Replace PyTorch's out-of-memory error with one line of advice.

    Args:
        advice: The keys to change.

    Raises:
        UserError: The device is out of memory.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise UserError(f"{device_in_words()} is out of memory: {advice}") from error


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether an error of PyTorch means that the device is out of memory."""
    import torch  # not at the top: an exported model is predicted without it

    return isinstance(error, torch.OutOfMemoryError) or any(sign in str(error) for sign in SIGNS)


def device_in_words() -> str:
    """Return the name of the device and, for a GPU, its total, used and free memory."""
    import torch

    if not torch.cuda.is_available():
        return "the CPU"
    free, total = torch.cuda.mem_get_info()
    used = torch.cuda.memory_allocated()
    return (
        f"{torch.cuda.get_device_name()} ({total / 2**30:.1f} GiB, {used / 2**30:.1f} of it used by this process, "
        f"{free / 2**30:.1f} free)"
    )
