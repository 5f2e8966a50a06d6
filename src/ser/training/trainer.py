"""What the Hugging Face Trainer does not do by itself."""

from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader
from transformers import EvalPrediction, Trainer

from ser.data.batches import Clips, scoring_batches
from ser.models.families import HEAD, depends_on_padding
from ser.results.metrics import summary


class EmotionTrainer(Trainer):
    """Adds a learning rate of the head's own, training accuracy in the log, and scoring batches without padding."""

    def __init__(self, *args: Any, head_learning_rate: float | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.head_learning_rate = head_learning_rate
        self._right = torch.zeros((), device=self.args.device)
        self._seen = 0

    def create_optimizer(self, *args: Any) -> torch.optim.Optimizer:
        """Give the head its own learning rate; which parameters decay is left to the Trainer."""
        optimizer = super().create_optimizer(*args)
        if self.head_learning_rate is not None:
            names = {id(parameter): name for name, parameter in self.model.named_parameters()}
            for group in list(optimizer.param_groups):
                head = [parameter for parameter in group["params"] if names[id(parameter)].startswith(HEAD)]
                group["params"] = [p for p in group["params"] if not names[id(p)].startswith(HEAD)]
                optimizer.add_param_group({**group, "params": head, "lr": self.head_learning_rate})
        return optimizer

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **kwargs: Any) -> Any:
        """Count right answers beside the loss, on the device: nothing waits for them."""
        loss, outputs = super().compute_loss(model, inputs, return_outputs=True, **kwargs)
        if model.training:
            self._right += (outputs.logits.detach().argmax(dim=-1) == inputs["labels"]).sum()
            self._seen += len(inputs["labels"])
        return (loss, outputs) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the accuracy on the training clips since the last line (of this process, where there are several)."""
        if "loss" in logs and self._seen:
            logs["accuracy"] = float(self._right) / self._seen
            self._right.zero_()
            self._seen = 0
        super().log(logs, start_time)

    def get_eval_dataloader(self, eval_dataset: Clips | None = None) -> DataLoader[Any]:
        """Clips in order of length; of one length where the encoder's answers depend on padding."""
        clips = self.eval_dataset if eval_dataset is None else eval_dataset
        batches = scoring_batches(
            clips.lengths(), self.args.eval_batch_size, equal_lengths=depends_on_padding(self.model.config)
        )
        loader: DataLoader[Any] = DataLoader(clips, batch_sampler=batches, collate_fn=self.data_collator)
        return self.accelerator.prepare(loader)


def validation_metrics(prediction: EvalPrediction) -> dict[str, float]:
    """The summary that chooses the checkpoint, from logits `(clips, emotions)` and class indices."""
    logits = np.asarray(prediction.predictions)
    return summary(np.asarray(prediction.label_ids), logits.argmax(axis=-1), labels=range(logits.shape[1]))
