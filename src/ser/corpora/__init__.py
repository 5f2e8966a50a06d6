"""Corpora: each is one file that knows its facts and lists its recordings.

A published corpus whose names say everything has `FACTS` and `NAMES`; one with several parts or kinds of labels has
`VARIANTS`, a table of facts whose first entry is the default, and `scan(root, variant)`. One whose labels stand in
tables has `FACTS` and `scan(root)`. The corpora that a user describes in the config (`table`, `folders`, `hub`) have
`FACTS` and `scan(root, corpus)`. A corpus that makes its recordings, or fetches them, has `make_root(corpus, target)`.
"""

import logging
import pkgutil
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from ser.config.corpus import Corpus
from ser.corpora.download import download as fetch_archives  # the module keeps its name
from ser.corpora.facts import Facts
from ser.errors import UserError, suggest

log = logging.getLogger("ser")

HELPERS = {
    "archives",
    "download",
    "facts",
    "file_names",
    "labels",
    "published_tables",
    "recordings",
    "scanning",
    "transfer",
    "zenodo",
}
"""Modules of this folder that are no corpus."""
CONFIGURED = {"table", "folders", "hub"}
"""Corpora that the config describes."""
COMBINED = "combined"
"""The reader of several prepared corpora, which stands in `ser.data`, since it reads prepared folders."""


def list_corpora() -> list[str]:
    """Return the names of all corpus files."""
    return sorted({module.name for module in pkgutil.iter_modules(__path__)} - HELPERS)


def find_module(corpus: Corpus) -> ModuleType:
    """Import the file of a corpus.

    Raises:
        UserError: there is no such file, or a key of the config has no meaning for this corpus.
    """
    reader = corpus.reader or corpus.name
    if reader not in (known := list_corpora()):
        raise UserError(
            f"corpus.reader={reader}: there is no such corpus{suggest(reader, known)}; choices: {', '.join(known)}"
        )
    check_keys(corpus, reader)
    return import_module(f"{__name__}.{reader}")


def check_keys(corpus: Corpus, reader: str) -> None:
    """Raise a UserError for a key of another kind of corpus, and for one that is missing."""
    for key, owner in (("table", "table"), ("speaker", "folders"), ("dataset", "hub"), ("parts", COMBINED)):
        value = getattr(corpus, key)
        if value is not None and reader != owner:
            raise UserError(f"corpus.{key}={value}: it is for corpus={owner}, and this corpus is {corpus.name}")
        if value is None and reader == owner and key != "speaker":
            raise UserError(
                f"corpus.{key} is missing: give it, as in `ser prepare-data corpus={owner} corpus.{key}=...`"
            )
    if corpus.variant is not None and reader in CONFIGURED:
        raise UserError(f"corpus.variant={corpus.variant}: the corpus {corpus.name} has no variants")


def choose_variant(corpus: Corpus, module: ModuleType) -> str:
    """Return the variant that is read; empty for a corpus without variants.

    Raises:
        UserError: the corpus has no such variant.
    """
    variants = list(getattr(module, "VARIANTS", {}))
    if corpus.variant is not None and corpus.variant not in variants:
        raise UserError(
            f"corpus.variant={corpus.variant}: the corpus {corpus.name} has "
            + (f"the variants {', '.join(variants)}" if variants else "no variants")
        )
    return corpus.variant or (variants[0] if variants else "")


def find_facts(corpus: Corpus) -> Facts:
    """Return the facts of a corpus, with the description and the licence of the config in place of its own."""
    module = find_module(corpus)
    variant = choose_variant(corpus, module)
    facts: Facts = module.VARIANTS[variant] if variant else module.FACTS
    if corpus.description is not None:
        facts = replace(facts, description=corpus.description)
    if corpus.license is not None:
        commercial = "-nc" not in corpus.license.lower() and corpus.license.lower() != "other"
        facts = replace(facts, license=corpus.license, commercial=commercial)
    return facts


def recorded_facts(record: Mapping[str, Any]) -> Facts:
    """Return the facts in an audit or a stamp of a checkpoint; earlier releases wrote only the name of the corpus."""
    return Facts.from_json(record["facts"]) if "facts" in record else find_facts(Corpus(record["corpus"]))


def download_archives(corpus: Corpus, target: Path) -> Path:
    """Download a corpus whose owner gives a direct link, and return its folder.

    Raises:
        UserError: the corpus has no such link, or the download fails.
    """
    facts = find_facts(corpus)
    if not facts.archives:
        where = f"see {facts.source}, download it by hand" if facts.source else "download it by hand"
        raise UserError(f"download=true: {corpus.name} has no direct link; {where} and give --root DIR")
    if not facts.commercial:
        log.info("%s: its licence (%s) forbids commercial use", corpus.name, facts.license)
    return fetch_archives(facts.archives, target / "download")


def find_root(corpus: Corpus, root: str | None, target: Path) -> Path:
    """Return the folder of the recordings.

    Args:
        corpus: the corpus.
        root: the folder that the user gave.
        target: the prepared folder, below which a corpus that makes its recordings puts them.

    Raises:
        UserError: the corpus needs a root, or the root is no folder.
    """
    module = find_module(corpus)
    if root is None and not hasattr(module, "make_root"):
        raise UserError(
            f"root is missing: give the corpus's folder, as in `ser prepare-data corpus={corpus.name} --root DIR`"
        )
    source = Path(root).expanduser() if root is not None else module.make_root(corpus, target)
    if not source.is_dir():
        raise UserError(f"root={source}: {'it is no folder' if source.exists() else 'there is no such folder'}")
    return Path(source)
