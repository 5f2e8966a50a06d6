r"""Search for settings of `ser train` with Optuna: the best are those with the best metric on the validation split.

    python scripts/search.py --trials 20 protocol=emobox protocol.fold=1 model=hubert_large output_dir=runs/search \
        'trainer.learning_rate=tag(log,interval(1e-6,1e-4))' 'trainer.num_train_epochs=range(2,11)' \
        model.freeze=cnn,none

The words are those of `ser train`; a range is written in Hydra's grammar: `interval(a,b)`, with `tag(log,...)` on a
logarithmic scale, `range(a,b)` for whole numbers below b, `a,b,c` for choices. A trial trains as `ser train` does, and
ends before the test split, which is emptied before the model is built. The study is in `output_dir/study.log`; the same
command goes on with it, and several at once share it. It needs `pip install "ser-finetune[search]"`.
"""

import argparse
import logging
from dataclasses import dataclass, replace
from pathlib import Path

import optuna
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from ser import config, console, ending
from ser.acceleration.cpu_backend import enable_onednn_fp32_matmul
from ser.apps import CONFIGS, checked
from ser.command_line import hydra_words
from ser.data.preparation import open_or_prepare, resolve
from ser.data.prepared_corpus import PreparedCorpus
from ser.data.protocols import Splits, split_corpus
from ser.errors import UserError
from ser.runs.folder import RunFolder
from ser.runs.plan import expand_runs
from ser.runs.session import open_run
from ser.runs.splits import write_splits
from ser.training import checkpoint_folders
from ser.training.arguments import greater_is_better
from ser.training.build import build_trainer, fit
from ser.training.callbacks import add_callbacks
from ser.training.model import build_model

log = logging.getLogger("ser")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20, help="of the whole study, with those of earlier commands")
    parser.add_argument("--seed", type=int, default=0, help="of the settings that are tried")
    options, words = parser.parse_known_args()
    with ending.in_one_line():
        console.start_logging()
        console.quiet_transformers()
        enable_onednn_fp32_matmul()
        search(Search.from_words(words), options.trials, options.seed)


@dataclass
class Search:
    """What is searched, and the corpus that it is searched on."""

    fixed: list[str]
    """Overrides of `ser train`."""
    searched: list[Override]
    cfg: config.Train
    """The settings of every trial, without those that are searched."""
    prepared: PreparedCorpus
    splits: Splits

    @classmethod
    def from_words(cls, words: list[str]) -> "Search":
        """Read a command line.

        Raises:
            UserError: Nothing is searched, or no split is left for the choice of settings.
        """
        parsed = OverridesParser.create().parse_overrides(hydra_words([*words, "--multirun"], config.Train)[:-1])
        searched = [override for override in parsed if override.is_sweep_override()]
        if not searched:
            raise UserError("nothing is searched: give a range, such as 'trainer.learning_rate=interval(1e-5,1e-3)'")
        fixed = [str(override.input_line) for override in parsed if override not in searched]
        cfg = compose_one(["output_dir=runs/search", *fixed])
        prepared = open_or_prepare(cfg.corpus, cfg.protocol, cfg.root, cfg.data_dir)
        return cls(fixed, searched, cfg, prepared, without_test(split_corpus(prepared.utterances, cfg.protocol)))

    @property
    def folder(self) -> Path:
        return Path(self.cfg.output_dir)

    @property
    def metric(self) -> str:
        return self.cfg.trainer.metric_for_best_model

    def suggest(self, trial: optuna.Trial) -> list[str]:
        """Return the overrides of a trial."""
        return [f"{one.get_key_element()}={suggest(trial, one)}" for one in self.searched]

    def train(self, trial: optuna.Trial) -> float:
        """Train a trial and return the metric of its selected checkpoint on the validation split."""
        overrides = self.suggest(trial)
        trial.set_user_attr("overrides", overrides)
        folder = RunFolder(self.folder / f"trial{trial.number}")
        cfg = replace(compose_one([*self.fixed, *overrides]), output_dir=str(folder.path), resume=config.AUTO)
        log.info("trial %d: %s", trial.number, " ".join(overrides))
        with open_run(folder, cfg):
            write_splits(folder, self.splits)
            model = build_model(cfg, self.prepared.emotions)
            with (
                build_trainer(cfg, model, self.prepared, self.splits, folder.path) as (trainer, cost),
                console.bar() as bar,
            ):
                add_callbacks(trainer, cost, bar)
                fit(trainer, resume=False)
        checkpoint_folders.delete_checkpoints(folder.path)
        best = float(trainer.state.best_metric)
        log.info("trial %d: %s %.4f on the validation split", trial.number, self.metric, best)
        return best


def search(what: Search, trials: int, seed: int) -> None:
    """Run what is left of the trials, and print the best settings as a command."""
    what.folder.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = JournalStorage(JournalFileBackend(str(what.folder / "study.log")))
    direction = "maximize" if greater_is_better(what.metric) else "minimize"
    study = optuna.create_study(storage=storage, study_name="ser", direction=direction, load_if_exists=True)
    done = len(finished(study))
    study.sampler = optuna.samplers.TPESampler(seed=seed + done)  # a search that goes on does not repeat itself
    study.optimize(what.train, n_trials=max(0, trials - done))
    report(what, study)


def report(what: Search, study: optuna.Study) -> None:
    """Print how many trials were run, the best one, and the command that trains with its settings."""
    best, rows = study.best_trial, what.splits.validation
    speakers = ", ".join(rows.distinct("speaker"))
    print(f"{len(finished(study))} trials in {what.folder}; the best is trial {best.number}:")
    print(f"{what.metric} {best.value:.4f} on the validation split ({len(rows)} clips, speakers {speakers}).")
    fixed = [word for word in what.fixed if not word.startswith("output_dir=")]
    print("ser train", *fixed, *best.user_attrs["overrides"])
    if what.cfg.protocol.fold is not None:
        print(
            f"The settings were chosen in fold {what.cfg.protocol.fold}: speakers that other folds test were in its "
            "training and validation splits. Only the score of this fold is of speakers that the choice has not seen."
        )


def finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE])


def suggest(trial: optuna.Trial, override: Override) -> str:
    """Draw a value of a key, as it is typed."""
    key, values = override.get_key_element(), override.value()
    if isinstance(values, IntervalSweep):
        drawn = trial.suggest_float(key, float(values.start), float(values.end), log="log" in values.tags)
        return f"{drawn:.4g}"
    if isinstance(values, RangeSweep) and isinstance(values.start, int) and isinstance(values.step, int):
        whole = range(values.start, values.stop, values.step)
        return str(trial.suggest_int(key, whole[0], whole[-1], step=whole.step))
    return str(trial.suggest_categorical(key, list(override.sweep_string_iterator())))


def compose_one(overrides: list[str]) -> config.Train:
    """Return the checked settings of a run of `ser train`.

    Raises:
        UserError: There are several runs: what is validation in one fold is tested in another.
    """
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        cfg = checked(compose("train", [*overrides, "tracking=none"]), config.Train)
    runs = expand_runs(replace(cfg, protocol=resolve(cfg.corpus, cfg.protocol, cfg.root, cfg.data_dir)))
    if len(runs) > 1:
        raise UserError(f"{len(runs)} runs: give one fold and one seed, such as protocol.fold=1")
    return replace(runs[0], output_dir=str(Path(cfg.output_dir).expanduser()))


def without_test(splits: Splits) -> Splits:
    """Return the splits without the test split.

    Raises:
        UserError: The protocol chooses on the test split.
    """
    if splits.selection_split is None:
        raise UserError("trainer.choose: settings are chosen by the split that selects the checkpoint; give best")
    if splits.selection_split is config.Split.test:
        raise UserError("the protocol has no validation split, so settings would be chosen on the test split")
    return replace(splits, test=splits.test[:0])


if __name__ == "__main__":
    main()
