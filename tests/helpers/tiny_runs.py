"""Runs of a few steps, as `ser train` makes them."""

from helpers.compositions import SMALL, composed
from ser.commands.train import train

# Three steps of a small encoder: enough to write everything a run writes.
QUICK = (
    *SMALL, "trainer=scratch", "tracking=none", "trainer.max_steps=3", "trainer.eval_strategy=steps",
    "trainer.eval_steps=1", "trainer.save_steps=1", "trainer.logging_steps=1",
)  # fmt: skip


def run(data_dir, folder, *overrides):
    cfg = composed("train", *QUICK, f"data_dir='{data_dir}'", f"output_dir='{folder}'", *overrides)
    return train(cfg)
