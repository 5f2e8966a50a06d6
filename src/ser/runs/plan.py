"""Expand a command into runs: one for each seed and fold, each in its own folder."""

from dataclasses import replace
from pathlib import Path

from ser.config import Train
from ser.data.protocols import list_folds


def expand_runs(cfg: Train) -> list[Train]:
    """Return the config of each run of a command: of all folds and seeds, unless one of them is chosen.

    The runs of a protocol with folds lie below `output_dir` (`fold3`), as do those of several seeds (`seed1`,
    `seed1-fold3`), so that one fold run by itself lies where the command that runs all of them looks for it.
    """
    runs = []
    for seed in cfg.seeds if cfg.only_seed is None else [cfg.only_seed]:
        for fold in list_folds(cfg.protocol):
            name = "-".join([f"seed{seed}"] * (len(cfg.seeds) > 1) + [f"fold{fold}"] * (fold is not None))
            protocol = replace(cfg.protocol, fold=fold)
            folder = str(Path(cfg.output_dir).expanduser() / name)
            runs.append(replace(cfg, seed=seed, seeds=[seed], only_seed=None, protocol=protocol, output_dir=folder))
    return runs
