"""The corpus that src/ser/README.md adds as an example."""

import re
from pathlib import Path
from types import ModuleType

import pytest
from conftest import tone
from soundfile import write

from ser.corpora.file_names import scan_names
from ser.errors import UserError

README = Path(__file__).parents[2] / "src" / "ser" / "README.md"


@pytest.fixture
def mine():
    if not README.is_file():
        pytest.skip("there is no README.md beside the tests")
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    code = next(block for block in blocks if "FileNames(" in block)
    assert len(code.splitlines()) < 30
    module = ModuleType("mine")
    exec(code, module.__dict__)
    return module


def test_the_example_reads_a_corpus_and_refuses_impossible_names(mine, tmp_path):
    for name in ("anna_h_03", "ben_s_10"):
        write(tmp_path / f"{name}.wav", tone(0.2), 16000)
    rows = scan_names(tmp_path, mine.NAMES).recordings
    assert [(row.speaker, row.emotion, row.statement) for row in rows] == [
        ("anna", "happy", "03"),
        ("ben", "sad", "10"),
    ]
    write(tmp_path / "ben_x_10.wav", tone(0.2), 16000)
    with pytest.raises(UserError, match="emotion x: it must be one of h, s"):
        scan_names(tmp_path, mine.NAMES)
