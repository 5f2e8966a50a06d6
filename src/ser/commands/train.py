"""ser train model=hubert_large"""  # noqa: D415

from ser.experiments.train import train

__all__ = ["train"]
