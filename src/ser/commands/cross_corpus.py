"""ser cross-corpus corpus.parts=[ravdess,emodb,urdu]"""  # noqa: D415

from ser import config
from ser.garbage import keep_imported
from ser.training.tracking import import_tracker


def cross_corpus(cfg: config.Train) -> None:
    """Train on each corpus, test on each; see `ser.experiments.cross_corpus`, which imports PyTorch."""
    import_tracker(cfg.tracking)
    with keep_imported():
        from ser.experiments import cross_corpus as experiment
    experiment.cross_corpus(cfg)
