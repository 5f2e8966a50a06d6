import re
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from ser.corpora.synthetic import waveform

SCRIPT = Path(__file__).parents[2] / "scripts" / "duplicates.py"


def test_the_recall_of_the_index_is_measured_beside_all_pairs(tmp_path):
    if "MP3" not in soundfile.available_formats():
        pytest.skip(f"libsndfile {soundfile.__libsndfile_version__} cannot write MP3")
    for number, code in enumerate(("01", "04", "05")):
        soundfile.write(tmp_path / f"{number}.wav", waveform(code, "01", "01", "01", "01"), 16_000)
    words = (str(tmp_path), "--clips", "30", "--each", "2", "--all-pairs")
    printed = subprocess.run([sys.executable, SCRIPT, *words], capture_output=True, text=True, check=True).stdout
    assert re.search(r"^index: 70 clips, ", printed)
    assert "equal on planted copies: True" in printed
    assert re.search(r"^planted 40, found by all pairs (\d+), of these by the index \1$", printed, re.MULTILINE)
    assert printed.count("100.0% |") == 20
