"""The parsers of faults_fuzz.py under libFuzzer, which follows the branches that an input takes.

python scripts/faults_atheris.py -runs=20000     needs atheris, which is not among the dependencies
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ser.data", "ser.corpora", "ser.command_line", "csv"]):
    import faults_fuzz

TARGET = Path(tempfile.mkdtemp()) / "table.csv"
READERS = (faults_fuzz.manifest.read, faults_fuzz.folds_of, faults_fuzz.recordings_of)
TEXTS = (faults_fuzz.name_of_a_recording, faults_fuzz.path_as_flag)


def parse(content: bytes) -> None:
    """Give an input to the parser that its first byte names."""
    kind, rest = content[0] % 5 if content else 0, content[1:]
    if kind < len(READERS):
        faults_fuzz.told(lambda drawn: faults_fuzz.written(TARGET, drawn, READERS[kind]), rest)
    else:
        faults_fuzz.told(TEXTS[kind - len(READERS)], rest.decode(errors="replace").replace("\0", ""))


if __name__ == "__main__":
    atheris.Setup(sys.argv, parse)
    atheris.Fuzz()
