"""The trainers of scripts/recipes.py: techniques that are no keys of `ser`. Each has one number, `value`."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import TrainerCallback

from ser.config import Choose
from ser.errors import UserError
from ser.models.architectures import HEAD, find_architecture, find_layers
from ser.models.freezing import layer_index
from ser.training import checkpoint_folders
from ser.training.trainer import EmotionTrainer


class Recipe(EmotionTrainer):
    """A trainer with a technique."""

    value: float
    keeps_state = False
    """Whether a checkpoint lacks a part of what is trained or averaged; such a run is started from its first step."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.args.gradient_accumulation_steps > 1 or self.args.world_size > 1:
            raise UserError("recipes: they need trainer.gradient_accumulation_steps=1 and a single process")
        if self.keeps_state:
            checkpoint_folders.delete_checkpoints(
                Path(self.args.output_dir)
            )  # before `build.fit` looks for one to resume from

    def trained(self) -> dict[str, nn.Parameter]:
        """Return the trained parameters by name."""
        return {name: parameter for name, parameter in self.model.named_parameters() if parameter.requires_grad}


class Averaging(Recipe):
    """Ends with an average of the weights of training, which the run scores and saves."""

    keeps_state = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.options.choose is not Choose.last:
            raise UserError("ema, mean_of_last: no evaluation can choose what they average; give trainer.choose=last")
        self.add_callback(AfterEach(self))

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train; afterwards the model has the average, and no longer the weights of the last checkpoint."""
        output = super().train(*args, **kwargs)
        average = self.average()
        with torch.no_grad():
            for name, parameter in self.trained().items():
                parameter.copy_(average[name])
        return output

    def weights(self) -> dict[str, torch.Tensor]:
        """Return copies of the trained weights."""
        return {name: parameter.detach().clone() for name, parameter in self.trained().items()}

    def after_step(self) -> None:
        """Take the weights of an optimizer step."""

    def after_epoch(self) -> None:
        """Take the weights at the end of an epoch."""

    def average(self) -> dict[str, torch.Tensor]:
        raise NotImplementedError


class AfterEach(TrainerCallback):
    """Tells an averaging trainer that a step or an epoch is over."""

    def __init__(self, trainer: Averaging) -> None:
        self.trainer = trainer

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        self.trainer.after_step()

    def on_epoch_end(self, *args: Any, **kwargs: Any) -> None:
        self.trainer.after_epoch()


class Ema(Averaging):
    """Exponential moving average: `m_t = d m_(t-1) + (1 - d) w_t` after step t, `m_0` the weights before training.

    After the averages of Polyak & Juditsky 1992 (SIAM Journal on Control and Optimization 30); `value` is `d`.
    """

    value = 0.99

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.means = self.weights()

    def after_step(self) -> None:
        for name, parameter in self.trained().items():
            self.means[name].lerp_(parameter.detach(), 1 - self.value)

    def average(self) -> dict[str, torch.Tensor]:
        return self.means


class MeanOfLast(Averaging):
    """Mean of the weights at the ends of the last k epochs: `1/k sum_i w_i`; `value` is k.

    Izmailov et al. 2018 (arXiv 1803.05407, section 3.2) without their constant or cyclic rate: under a rate
    that falls to zero the last weights are close to one another.
    """

    value = 3

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ends: deque[dict[str, torch.Tensor]] = deque(maxlen=int(self.value))

    def after_epoch(self) -> None:
        self.ends.append(self.weights())

    def average(self) -> dict[str, torch.Tensor]:
        return {name: torch.stack([end[name] for end in self.ends]).mean(dim=0) for name in self.ends[-1]}


class LayerDecay(Recipe):
    """Learning rate `r f^(L - l)` in layer l of `1 ... L`, `r f^L` below all layers; the head keeps its own.

    Howard & Ruder 2018 (arXiv 1801.06146, discriminative fine-tuning of section 3.2, where `f` is 1/2.6); `value` is f.
    """

    value = 0.8

    def create_optimizer(self, *args: Any) -> torch.optim.Optimizer:
        optimizer = super().create_optimizer(*args)
        names = {id(parameter): name for name, parameter in self.model.named_parameters()}
        for group in list(optimizer.param_groups):
            by_factor: dict[float, list[nn.Parameter]] = {1.0: []}  # the Trainer logs the rate of the first group
            for parameter in group["params"]:
                by_factor.setdefault(self.factor(names[id(parameter)]), []).append(parameter)
            group["params"] = by_factor.pop(1.0)
            for factor, parameters in by_factor.items():
                optimizer.add_param_group({**group, "params": parameters, "lr": factor * group["lr"]})
        return optimizer

    def factor(self, name: str) -> float:
        """Return what the learning rate of a tensor is multiplied by."""
        prefix, config = find_architecture(self.model.config).layers, self.model.config
        if name.startswith(HEAD):
            return 1.0
        if name.startswith(prefix):
            return self.value ** (len(find_layers(self.model)) - 1 - layer_index(name, find_architecture(config)))
        # The norm beside the layers follows them, but in the post-norm encoders of the wav2vec2 line it precedes them.
        follows = getattr(config, "do_stable_layer_norm", config.model_type != "data2vec-audio")
        if follows and name.startswith(f"{prefix.removesuffix('layers.')}layer_norm."):
            return 1.0
        return self.value ** len(find_layers(self.model))


class HeadFirst(Recipe):
    """The encoder is not trained in the first epochs, the head is; `value` is their number.

    Kumar et al. 2022 (arXiv 2202.10054), who train the head until it converges. The schedule of the rate is unchanged.
    """

    value = 1

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        encoder = [parameter for name, parameter in self.trained().items() if not name.startswith(HEAD)]
        for parameter in encoder:
            parameter.requires_grad = self.epoch() >= self.value
        try:
            return super().training_step(*args, **kwargs)
        finally:
            for parameter in encoder:  # without a gradient the optimizer skips it; checkpoints tell by the flag
                parameter.requires_grad = True


class RDrop(Recipe):
    """Two passes with different dropout: `(L_1 + L_2) / 2 + a mean_i (KL(p_i || q_i) + KL(q_i || p_i)) / 2`.

    `L_1` and `L_2` are the losses of the passes, `p` and `q` their probabilities, `value` is `a`. Liang et al. 2021
    (arXiv 2106.14448, section 2, where the losses of the passes are added; their code has the mean).
    """

    value = 1.0

    def has_objective(self) -> bool:
        return True

    def objective(self, model: Any, inputs: Any, targets: Any) -> tuple[torch.Tensor, Any]:
        """Return the loss, and the outputs of the first pass.

        Raises:
            UserError: Nothing is dropped.
        """
        (first, outputs), (second, others) = (super(RDrop, self).objective(model, inputs, targets) for _ in range(2))
        if self.state.global_step == 0 and torch.equal(outputs.logits, others.logits):
            key = "model.encoder_config.attention_dropout=0.1"
            raise UserError(f"r_drop: two passes give the same, since this encoder has no dropout; give one, as {key}")
        p, q = (one.logits.float().log_softmax(dim=-1) for one in (outputs, others))
        divergence = sum(functional.kl_div(b, a, reduction="batchmean", log_target=True) for a, b in ((p, q), (q, p)))
        return (first + second) / 2 + self.value * divergence / 2, outputs


class Sam(Recipe):
    """Sharpness-aware minimisation: the gradient of each step is that at `w + rho g / |g|`, where g is that at w.

    Foret et al. 2021 (arXiv 2010.01412, equations 2 and 3); `value` is rho. Both passes have the same dropout, so that
    they are of one function and later steps draw as without the technique. The logged loss is that at w.
    """

    value = 0.05

    def training_step(self, model: nn.Module, inputs: Any, *args: Any) -> torch.Tensor:
        with torch.random.fork_rng():
            loss = super().training_step(model, inputs, *args)
        counted = self._right.clone(), self._seen, self._batches
        with self.raised():
            super().training_step(model, inputs, *args)
        self._right, self._seen, self._batches = counted
        return loss

    @contextmanager
    def raised(self) -> Iterator[None]:
        """Have the weights at `w + rho g / |g|` and no gradient; afterwards the weights are w again, bit for bit."""
        moved = [parameter for parameter in self.trained().values() if parameter.grad is not None]
        before = [parameter.detach().clone() for parameter in moved]
        with torch.no_grad():
            norm = nn.utils.get_total_norm([parameter.grad for parameter in moved])
            for parameter in moved:
                parameter.add_(self.value * parameter.grad / (norm + 1e-12))
        self.model.zero_grad()
        try:
            yield
        finally:
            with torch.no_grad():
                for parameter, old in zip(moved, before, strict=True):
                    parameter.copy_(old)
