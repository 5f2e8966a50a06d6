"""Evaluation of a model between the steps of its training."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from torch.utils.data import DataLoader
from transformers import EvalPrediction
from transformers.trainer_utils import EvalLoopOutput

from ser import processes
from ser.acceleration.cpu_autocast import cpu_autocast
from ser.acceleration.faster_functions import use_faster_functions
from ser.data.batches import Numbers, scoring_batches
from ser.data.dataset import WaveformDataset
from ser.data.parallel import count_side_by_side, map_side_by_side
from ser.evaluation.metrics import confusion_matrix, cross_entropy, summarize
from ser.models.architectures import depends_on_padding
from ser.models.arrays import Logits
from ser.models.outputs import softmax
from ser.training.alarms import OneClassAlarm
from ser.training.checkpointing import CheckpointingTrainer


class EvaluatingTrainer(CheckpointingTrainer):
    """A Trainer that evaluates without padding where it matters, with the loss as a mean over clips."""

    data_collator: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._collator = self.data_collator  # that of training may become another
        self._one_class = OneClassAlarm(self.model.config.id2label)

    def evaluation_loop(self, dataloader: DataLoader[Any], *args: Any, **kwargs: Any) -> EvalLoopOutput:
        """Evaluate, with the loss as a mean over clips; the loss of transformers is a mean over batches of any size.

        Batches of clips of equal length are often small, and each would count as much as a full batch.
        """
        # Several processes gather the layers of a sharded model together: each computes one batch after the other.
        workers = count_side_by_side() if self.args.device.type == "cpu" and self.args.world_size == 1 else 1
        if self.args.world_size > 1 or workers > 1:
            output = self.evaluate_share(dataloader.dataset, workers)
        else:
            with cpu_autocast(self.args.bf16, self.args.device):
                output = super().evaluation_loop(dataloader, *args, **kwargs)
        logits = np.asarray(output.predictions)
        self._one_class.look(logits, self.args.learning_rate)
        shares, truth = softmax(logits), np.asarray(output.label_ids).tolist()
        output.metrics["eval_loss"] = cross_entropy(truth, shares, range(shares.shape[1]))
        return output

    def evaluate_share(self, clips: Any, workers: int) -> EvalLoopOutput:
        """Predict the batches of this process, and gather the logits of all: each clip counts once.

        The Trainer gathers batch by batch: it needs batches of one size, and the same number of them in each process.

        Args:
            clips: The dataset.
            workers: Threads that compute batches side by side, with the threads of PyTorch shared out among them.
        """
        batches, size = self.evaluation_batches(clips), self.args.world_size
        # As many for each process, since the layers of a sharded model are gathered together; the repeated ones go.
        places = range(self.args.process_index, -(-len(batches) // size) * size, size)
        own = [batches[place % len(batches)] for place in places]
        self.model.eval()
        shares = [own[number::workers] for number in range(min(workers, len(own)))]
        predicted = map_side_by_side(partial(self.predict_batches, clips), shares, len(shares))
        order = processes.gather_rows(np.concatenate([batch for share in shares for batch in share]))
        scores, truth = (processes.gather_rows(np.concatenate(part)) for part in zip(*predicted, strict=True))
        _, first = np.unique(order, return_index=True)
        metrics = validation_metrics(EvalPrediction(scores[first], truth[first]))
        named = {f"eval_{name}": value for name, value in metrics.items()}
        return EvalLoopOutput(scores[first], truth[first], named, len(first))

    def predict_batches(self, clips: Any, batches: Sequence[Sequence[int]]) -> tuple[Logits, Numbers]:
        """Return the logits `(clips, emotions)` and the class indices `(clips,)` of batches of clips."""
        logits, labels = [], []
        # What replaces functions of PyTorch holds for the thread that asks for it.
        faster = use_faster_functions(self.args.bf16 and not self.options.compile, self.args.device)
        with cpu_autocast(self.args.bf16, self.args.device), faster:
            for batch in batches:
                inputs = self._collator([clips[index] for index in batch])
                _, scores, truth = self.prediction_step(self.model, inputs, prediction_loss_only=False)
                logits.append(scores.float().cpu().numpy())
                labels.append(truth.cpu().numpy())
        return np.concatenate(logits), np.concatenate(labels)

    def evaluation_batches(self, clips: Any) -> list[list[int]]:
        """Return batches in order of clip length; all clips of a batch have one length if logits depend on padding."""
        equal_lengths = depends_on_padding(self.model.config)
        return scoring_batches(clips.lengths(), self.args.eval_batch_size, equal_lengths)

    def get_eval_dataloader(self, eval_dataset: WaveformDataset | None = None) -> DataLoader[Any]:
        """Return the batches of a single process."""
        clips = self.eval_dataset if eval_dataset is None else eval_dataset
        loader: DataLoader[Any] = DataLoader(
            clips,
            batch_sampler=self.evaluation_batches(clips),
            collate_fn=self._collator,
            pin_memory=self.args.dataloader_pin_memory,
        )
        return loader if self.args.world_size > 1 else self.accelerator.prepare(loader)


def validation_metrics(prediction: EvalPrediction) -> dict[str, float]:
    """Compute the metrics that select the checkpoint, from logits `(clips, emotions)` and class indices."""
    logits = np.asarray(prediction.predictions)
    counts = confusion_matrix(
        np.asarray(prediction.label_ids).tolist(), logits.argmax(axis=-1).tolist(), range(logits.shape[1])
    )
    return summarize(counts)
