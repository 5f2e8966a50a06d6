"""The stamp of a checkpoint, and the data that it was trained and tested on."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ser import config
from ser.checksums import hash_samples
from ser.config.protocol import LISTS
from ser.corpora.facts import Facts
from ser.data import manifest
from ser.data.manifest import Utterance
from ser.data.preparation import open_or_prepare
from ser.data.prepared_corpus import PreparedCorpus
from ser.data.protocols import Splits, identify_splits, split_corpus
from ser.errors import UserError
from ser.models.hub import portable_source
from ser.models.stamp import ADAPTED, AUGMENT, TEACHERS
from ser.rows import Rows
from ser.runs.settings import to_plain


def folder_beside(checkpoint_folder: Path, name: str) -> Path:
    """Return a folder in the run of a checkpoint, or beside a checkpoint without a run."""
    own = checkpoint_folder.resolve().name
    prefix = "" if own == "checkpoint" else f"{own}-"
    return checkpoint_folder.resolve().parent / f"{prefix}{name}"


def evaluation_name(split: config.Split) -> str:
    """Return the name of the folder in a run that `ser evaluate` writes."""
    return f"evaluation-{split.value}"


def build_stamp(cfg: config.Train, facts: Facts, splits: Splits, step: int) -> dict[str, Any]:
    """Return what a checkpoint's config records of its run, from which `load_trained_data` finds the splits again."""
    return {
        "corpus": cfg.corpus.name,
        "corpus_settings": portable_corpus(cfg.corpus),
        "facts": facts.to_json(),
        "protocol": to_plain(asdict(cfg.protocol)),
        "identity": identify_splits(cfg.protocol, splits),
        "chosen_on": splits.selection_split.value if splits.selection_split else None,
        "choose": splits.choose.value,
        "audio": asdict(cfg.audio),
        **({TEACHERS: [Path(run).resolve().name for run in cfg.trainer.teachers]} if cfg.trainer.teachers else {}),
        **({AUGMENT: cfg.augment.portable()} if cfg.augment.changes_clips else {}),
        "model": cfg.model.name,
        "pretrained": portable_source(cfg.model.pretrained),
        "seed": cfg.seed,
        "step": step,
    }


def load_trained_data(
    stamp: dict[str, Any], folder: Path, root: str | None, data_dir: str | None
) -> tuple[config.Protocol, PreparedCorpus, Splits]:
    """Load the protocol, the corpus and the splits that a checkpoint was trained and tested on.

    Raises:
        UserError: the data are not here, or are others.
    """
    prepared = open_trained_corpus(stamp, root, data_dir)
    return protocol_from_stamp(stamp), prepared, split_as_trained(stamp, folder, prepared)


def open_trained_corpus(stamp: dict[str, Any], root: str | None, data_dir: str | None) -> PreparedCorpus:
    """Open the corpus that a checkpoint was trained on.

    Raises:
        UserError: it is not here.
    """
    if data_dir is None and root is None and not Path(default_data_dir(stamp), manifest.FILE).is_file():
        raise UserError(
            f"{default_data_dir(stamp)}: the prepared corpus of the checkpoint is not in this folder; give "
            f"data_dir=FOLDER, where it is, or prepare it here: ser prepare-data corpus={stamp['corpus']}"
        )
    data_dir = data_dir or default_data_dir(stamp)
    return open_or_prepare(corpus_from_stamp(stamp), protocol_from_stamp(stamp), root, data_dir)


def split_as_trained(stamp: dict[str, Any], folder: Path, prepared: PreparedCorpus) -> Splits:
    """Return the splits that a checkpoint was trained and tested on.

    Raises:
        UserError: the data are others.
    """
    protocol = protocol_from_stamp(stamp)
    choose = config.Choose(stamp.get("choose", "best"))
    splits = split_corpus(prepared.utterances, protocol, choose)
    check_splits(stamp, protocol, splits, folder)
    return splits


def leave_out_adapted(stamp: dict[str, Any], prepared: PreparedCorpus, rows: Rows[Utterance]) -> Rows[Utterance]:
    """Return the recordings without those that a checkpoint was adapted to, which must not be scored."""
    if ADAPTED not in stamp:
        return rows
    known = set(stamp[ADAPTED]["sha256"])
    clips = map(prepared.audio.samples, prepared.indices(rows).tolist())
    return rows.where(np.array([hash_samples(clip) not in known for clip in clips], dtype=bool))


def default_data_dir(stamp: dict[str, Any]) -> str:
    return f"data/{stamp['corpus']}"


def portable_corpus(corpus: config.Corpus) -> dict[str, Any]:
    """Return the config of a corpus without folders of this machine, by which another one finds it again."""
    names = ("reader", "variant", "scheme", "emotions", "labels")
    values = {name: to_plain(getattr(corpus, name)) for name in names}
    parts = [Path(part).name for part in corpus.parts] if corpus.parts else None
    return {name: value for name, value in {**values, "parts": parts}.items() if value}


def corpus_from_stamp(stamp: dict[str, Any]) -> config.Corpus:
    """Return the corpus of a checkpoint; one of an earlier release names it alone."""
    values = dict(stamp.get("corpus_settings", {}))
    if "labels" in values:
        values["labels"] = config.SharedLabels(values["labels"])
    return config.Corpus(name=stamp["corpus"], **values)


def protocol_from_stamp(stamp: dict[str, Any]) -> config.Protocol:
    """Return the protocol of a checkpoint."""
    values = dict(stamp["protocol"])
    for key in (*LISTS, "test_statements", "named_validation_speakers"):
        values[key] = {int(fold): value for fold, value in values.get(key, {}).items()}  # JSON has made texts of them
    return config.Protocol(**values)


def check_splits(stamp: dict[str, Any], protocol: config.Protocol, splits: Splits, folder: Path) -> None:
    """Raise a UserError where the data are not those that the checkpoint was trained and tested on."""
    now = identify_splits(protocol, splits)
    if changed := [key for key, value in stamp["identity"].items() if now[key] != value]:
        raise UserError(
            f"{folder}: the data differ from those it was trained with ({', '.join(changed)}); "
            "its number would not be its protocol's"
        )
