"""ser train model=hubert_large"""  # noqa: D415

from ser import config
from ser.garbage import keep_imported
from ser.training.tracking import import_tracker


def train(cfg: config.Train) -> float:
    """Fine-tune an encoder; see `ser.experiments.train`, which imports PyTorch."""
    import_tracker(cfg.tracking)
    with keep_imported():
        from ser.experiments import train as experiment
    return experiment.train(cfg)
