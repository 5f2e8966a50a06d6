"""The parsers of faults_fuzz.py under libFuzzer, which follows the branches that an input takes.

python scripts/faults_atheris.py -runs=20000     needs atheris, which is not among the dependencies
"""

import contextlib
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ser.data", "ser.corpora", "ser.command_line", "csv"]):
    import faults_fuzz

TARGET = Path(tempfile.mkdtemp()) / "table.csv"
READERS = (faults_fuzz.manifest.read, faults_fuzz.folds_of, faults_fuzz.recordings_of)


def parse(content: bytes) -> None:
    """Give an input to the parser that its first byte names."""
    kind, rest = content[:1], content[1:]
    place = kind[0] % (len(READERS) + 2) if kind else 0
    with contextlib.suppress(*faults_fuzz.TOLD):
        if place < len(READERS):
            faults_fuzz.written(TARGET, rest, READERS[place])
        elif place == len(READERS):
            faults_fuzz.name_of_a_recording(rest.decode(errors="replace"))
        else:
            faults_fuzz.path_as_flag(rest.decode(errors="replace"))


if __name__ == "__main__":
    atheris.Setup(sys.argv, parse)
    atheris.Fuzz()
