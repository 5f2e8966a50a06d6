"""The one entry point of this room for training: everything that makes a run faster and leaves its result alone.

`trainer.cache_features` decides what the datasets are, so `ser.training.datasets` reads it.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from transformers import PreTrainedModel, TrainingArguments

from ser.acceleration import compilation
from ser.acceleration.attention import use_attention
from ser.acceleration.faster_functions import use_faster_functions
from ser.acceleration.freed_memory import keep_freed_memory
from ser.acceleration.gpu_dataset import Inputs, move_to_gpu
from ser.acceleration.sharding import shard_layers
from ser.config import Trainer


@contextmanager
def accelerated(
    classifier: PreTrainedModel, options: Trainer, arguments: TrainingArguments, inputs: Inputs
) -> Iterator[Inputs]:
    """Accelerate training inside the context; afterwards the classifier computes as it did before.

    Covers `trainer.dataset_on_gpu` and `compile`, on a CPU the memory that steps share, and for bf16 there the faster
    attention, dropout and positional convolution. Create the trainer inside the context: the classifier is on the
    device that trains, and `arguments` suit the inputs.

    Args:
        classifier: the model that is trained.
        options: the switches.
        arguments: of the Trainer; their data loader is changed where batches are made on the GPU.
        inputs: the datasets and the collator on the CPU.

    Yields:
        The datasets and the collator to train with.

    Raises:
        UserError: the encoder cannot be compiled.
    """
    if options.compile:
        compilation.check_compilable(classifier)
    classifier.to(arguments.device)
    if options.dataset_on_gpu:
        inputs = move_to_gpu(inputs, arguments)
    with ExitStack() as stack:
        stack.enter_context(keep_freed_memory(arguments.device))
        stack.enter_context(shard_layers(classifier, bool(arguments.fsdp)))
        stack.enter_context(use_attention(classifier, arguments.bf16))
        if options.compile:
            batch_size = arguments.per_device_train_batch_size
            stack.enter_context(compilation.compile_encoder(classifier, batch_size, backend="inductor"))
        # A compiled graph has its functions inside.
        stack.enter_context(use_faster_functions(arguments.bf16 and not options.compile, classifier.device))
        yield inputs
