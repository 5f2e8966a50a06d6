"""Train on each corpus and test on each: N runs across corpora, and speaker-independent folds within each."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ser import config, console
from ser.comparison import cross_corpus as table
from ser.config.protocol import Protocol
from ser.data.preparation import open_or_prepare
from ser.errors import UserError
from ser.experiments.train import train
from ser.locks import locked
from ser.runs import finished
from ser.runs.environment import STARTED_AS

ACROSS = "across"
WITHIN = "within-{}"


def cross_corpus(cfg: config.Train) -> None:
    """Fine-tune on each corpus, test on each, and write the table of all pairs."""
    console.start_logging()
    target = Path(cfg.output_dir).expanduser()
    check(cfg)
    table.check_place(target)
    prepared = open_or_prepare(cfg.corpus, cfg.protocol, cfg.root, cfg.data_dir)
    names = list(prepared.parts)
    if len(names) < 2:
        raise UserError(f"corpus.parts={cfg.corpus.parts}: give two prepared corpora at least")
    plan = [
        (ACROSS, across(cfg.protocol, names)),
        *((WITHIN.format(name), within(cfg.protocol, name)) for name in names),
    ]
    STARTED_AS.set("cross-corpus")
    for folder, protocol in plan:
        train(replace(cfg, protocol=protocol, output_dir=str(target / folder)))
    transferred = finished.read(target / ACROSS)
    inside = {name: finished.read(target / WITHIN.format(name)) for name in names}
    cells = table.fill(names, transferred.predictions, {name: run.predictions for name, run in inside.items()})
    with locked(target):
        table.write(target, cells, transferred, prepared.facts.description, inside)
    print((target / "cross_corpus.md").read_text(encoding="utf-8"))
    print(target / "cross_corpus.html")


def check(cfg: config.Train) -> None:
    """Raise a UserError for a config that is not one of several corpora, or asks for what this command does itself."""
    if cfg.protocol.group is config.Group.corpus or cfg.protocol.test_corpora or cfg.protocol.corpora:
        raise UserError(
            f"protocol={cfg.protocol.name}: give the protocol within each corpus, such as protocol=speaker_kfold; "
            "training on one corpus and testing on the others is added to it"
        )
    if cfg.protocol.fold is not None:
        raise UserError(f"protocol.fold={cfg.protocol.fold}: the table needs all folds; leave it out")
    if cfg.hub.push:
        raise UserError("hub.push=true: the table has many checkpoints; push one of its runs with `ser push`")


def across(protocol: Protocol, names: Sequence[str]) -> Protocol:
    """Return the protocol whose fold i trains on the i-th corpus and tests all others."""
    tested = {fold: [other for other in names if other != name] for fold, name in enumerate(names, start=1)}
    return Protocol(
        name="train_on_one",
        seed=protocol.seed,
        test_corpora=tested,
        validation_speakers=protocol.validation_speakers,
        validation_fraction=protocol.validation_fraction,
        reference="Train on one corpus, test on each other one",
    )


def within(protocol: Protocol, name: str) -> Protocol:
    """Return the protocol on the recordings of one corpus."""
    return replace(protocol, corpora=[name])
