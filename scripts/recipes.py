r"""Measure techniques of training that are no keys of `ser`, each against `ser train` as it is.

    python scripts/recipes.py --out runs/recipes --try none ema layer_decay -- experiment=robust corpus=emodb \
        protocol=speaker_kfold 'seeds=[0,1]' tracking=none

The words after `--` are those of `ser train`. Each recipe is trained in `OUT/NAME` by `ser`'s own command, with another
trainer: recipe_trainers.py and recipe_speakers.py have their formulas and sources. `ema=0.999` gives another value than
the recipe's own. The same command goes on where it was stopped; `--report-only` trains nothing. What is in `OUT` stays
in the table and in Holm's correction, also where `--try` leaves it out.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from recipe_speakers import Adversarial, Speaker
from recipe_trainers import Ema, HeadFirst, LayerDecay, MeanOfLast, RDrop, Sam

from ser import config, console, ending
from ser.apps import CONFIGS, checked
from ser.command_line import hydra_words
from ser.commands.train import train
from ser.comparison.blocks import paired_tests, protocol_key
from ser.comparison.formats import p_value, percent
from ser.comparison.tables import table
from ser.errors import UserError
from ser.evaluation.metrics import confusion_matrix, unweighted_average_recall
from ser.evaluation.significance import adjust_holm
from ser.experiments import train as experiment
from ser.files import write_json
from ser.runs.finished import Run, read
from ser.runs.folder import RunFolder
from ser.training import build
from ser.training.trainer import EmotionTrainer

RECIPES: dict[str, type[EmotionTrainer]] = {
    "none": EmotionTrainer,
    "ema": Ema,
    "mean_of_last": MeanOfLast,
    "layer_decay": LayerDecay,
    "head_first": HeadFirst,
    "r_drop": RDrop,
    "sam": Sam,
    "speaker": Speaker,
    "adversarial": Adversarial,
}
"""What `--try` takes: the trainer of each technique."""
SECONDS = ".cpu.json"
"""Behind the name of a recipe: its file of processor times, beside its folder, which holds nothing but runs."""
UNFINISHED = {"UAR": "not finished"}


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the folder of the runs")
    parser.add_argument("--try", dest="tried", nargs="+", required=True, metavar="NAME", help=", ".join(RECIPES))
    parser.add_argument("--report-only", action="store_true", help="train nothing, and print the table")
    given = list(sys.argv[1:] if words is None else words)
    end = given.index("--") if "--" in given else len(given)
    args = parser.parse_args(given[:end])
    recipes = {name: find_recipe(name) for name in args.tried}
    if not args.report_only:
        console.quiet_transformers()
        cfg = compose_words([*given[end + 1 :], f"output_dir={args.out}"])
        if cfg.protocol.fold is not None and len(cfg.seeds) == 1:
            raise UserError("protocol.fold: one fold of one seed has no report above it; give all folds, or more seeds")
        for name, recipe in recipes.items():
            with trained_by(recipe, args.out / f"{name}{SECONDS}"):
                train(replace(cfg, output_dir=str(args.out / name), resume=config.AUTO))
    print(report(args.out, args.tried))


def find_recipe(text: str) -> type[EmotionTrainer]:
    """Return the trainer of `NAME` or `NAME=VALUE`.

    Raises:
        UserError: There is none, or the value is no number.
    """
    name, equals, value = text.partition("=")
    if name not in RECIPES:
        raise UserError(f"--try {text}: choices: {', '.join(RECIPES)}")
    recipe = RECIPES[name]
    if not equals:
        return recipe
    if not hasattr(recipe, "value") or not value.replace(".", "", 1).isdecimal():
        raise UserError(f"--try {text}: give {name}, or a number behind the name of another recipe, as ema=0.999")
    return type(recipe.__name__, (recipe,), {"value": float(value)})


def compose_words(words: Sequence[str]) -> config.Train:
    """Return the checked settings of a command line of `ser train`.

    Raises:
        UserError: A word is no setting.
    """
    overrides = hydra_words(words, config.Train)
    if options := [word for word in overrides if word.startswith("-")]:
        raise UserError(f"{options[0]}: only settings, key=value, are given after --")
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        return checked(compose("train", overrides), config.Train)


@contextmanager
def trained_by(recipe: type[EmotionTrainer], file: Path) -> Iterator[None]:
    """Train with another trainer inside, and keep the processor time of each run in a file, by the run's name.

    A run that goes on adds to its time; one that starts again from its first step does not.
    """
    trainer, fine_tune = build.EmotionTrainer, experiment.fine_tune

    def timed(cfg: config.Train, *rest: Any) -> None:
        times, run = read_times(file), Path(cfg.output_dir).name
        earlier = 0.0 if getattr(recipe, "keeps_state", False) else times.get(run, 0.0)
        started = time.process_time()
        try:
            fine_tune(cfg, *rest)
        finally:
            write_json(file, {**times, run: round(earlier + time.process_time() - started, 1)})

    build.EmotionTrainer, experiment.fine_tune = recipe, timed
    try:
        yield
    finally:
        build.EmotionTrainer, experiment.fine_tune = trainer, fine_tune


def read_times(file: Path) -> dict[str, float]:
    """Return the processor seconds of each run of a recipe."""
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}


def report(out: Path, tried: Sequence[str]) -> str:
    """Return the table of all recipes in a folder, compared with the first one of `tried`.

    Raises:
        UserError: The first one is not finished, or they were not tested on the same clips.
    """
    there = [RunFolder(path) for path in sorted(out.glob("*")) if path.name.partition("=")[0] in RECIPES]
    names = list(dict.fromkeys([*tried, *(run.path.name for run in there if run.is_run() or run.below())]))
    runs = {name: read(out / name) for name in names if RunFolder(out / name).is_finished()}
    if tried[0] not in runs:
        raise UserError(f"{out / tried[0]}: not finished, and the others are compared with it")
    if len({protocol_key(run) for run in runs.values()}) > 1:
        raise UserError(f"{out}: its runs have other corpora, protocols or splits; give another --out for each")
    first, others = runs[tried[0]], [name for name in names if name != tried[0]]
    tests = {name: paired_tests(runs[name], first) for name in others if name in runs}
    adjusted = dict(
        zip(others, adjust_holm([tests[name][2] if name in tests else 1.0 for name in others]), strict=True)
    )
    rows = []
    for name in names:
        row = {
            "recipe": name,
            **(measure(runs[name], read_times(out / f"{name}{SECONDS}")) if name in runs else UNFINISHED),
        }
        if name in tests:
            difference, _, by_speakers = tests[name]
            row |= {
                f"accuracy against {tried[0]}": f"{100 * difference:+.1f} points",
                "p, speakers (permutation)": p_value(by_speakers),
                "adjusted": p_value(adjusted[name]),
            }
        rows.append(row)
    return "\n\n".join([table(rows, "github"), describe(first), conclude(first, len(others), tried[0])])


def measure(run: Run, times: dict[str, float]) -> dict[str, str]:
    """Return the metrics of all folds and seeds together, and the processor time of the runs."""
    scored = run.predictions
    counts = confusion_matrix(scored.truth, scored.labels, scored.emotions)
    return {
        "UAR": percent(float(unweighted_average_recall(counts))),
        "accuracy": percent(scored.accuracy),
        "core-minutes": f"{sum(times.values()) / 60:.1f}",
    }


def describe(run: Run) -> str:
    """Say what was tested and how."""
    clips, seed = {row.key for row in run.predictions.utterances}, run.report["seed"]
    return (
        f"Corpus {run.report['corpus']}, protocol {run.report['protocol']['name']}, seed {str(seed).strip('[]')}: "
        f"{len(clips)} clips of {len({speaker for speaker, _ in clips})} speakers. UAR and accuracy: all folds and "
        "seeds pooled. Core-minutes: processor time of the runs. p: paired sign flips over speakers, of means "
        "over seeds. Adjusted: after Holm's correction for all recipes but the first."
    )


def conclude(run: Run, others: int, first: str) -> str:
    """Say how many recipes were tried, and what may be chosen by the table."""
    count = f"{others} recipe{'s were' if others != 1 else ' was'} tried against {first}"
    if run.report["corpus"].startswith("ravdess"):
        return f"{count}. These are tested speakers of RAVDESS: nothing may be chosen by this table."
    return f"{count}. Nothing here is chosen on tested speakers of RAVDESS."


if __name__ == "__main__":
    with ending.in_one_line():
        main()
