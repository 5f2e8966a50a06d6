"""The options that every part takes."""

import argparse
from pathlib import Path

from document import Document


class Options(argparse.Namespace):
    """What run.py gives a part."""

    device: str
    small: bool
    out: Path
    work: Path
    seconds: int
    corpus: Path | None
    encoder: Path | None
    command: str

    @property
    def document(self) -> Document:
        """Where the part writes."""
        return Document(self.out)


def given() -> Options:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", choices=("cuda", "cpu"), required=True)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--out", type=Path, required=True, help="the Markdown that is appended to")
    parser.add_argument("--work", type=Path, required=True, help="an empty folder")
    parser.add_argument("--seconds", type=int, required=True, help="after so many the part is cut off")
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--encoder", type=Path)
    parser.add_argument("--command", default="", help="what the user typed")
    return parser.parse_args(namespace=Options())
