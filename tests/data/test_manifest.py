import csv
from types import SimpleNamespace

import pyarrow as pa
import pytest

from ser.corpora.recordings import Recording
from ser.data import manifest
from ser.errors import UserError
from ser.rows import Rows

ROW = manifest.Utterance(
    path="Actor_01/03-01-05-01-01-01-01.wav",
    emotion="angry",
    speaker="1",
    gender="male",
    intensity="normal",
    statement="1",
    repetition="1",
    duration=3.703708,
    sample_rate=48000,
    channels=1,
    sha256="ab",
)


def test_the_columns_are_the_contract(tmp_path):
    manifest.write(tmp_path / "manifest.csv", [ROW])
    header = (tmp_path / "manifest.csv").read_text().splitlines()[0]
    assert header == ("path,emotion,speaker,gender,intensity,statement,repetition,duration,sample_rate,channels,sha256")


def test_what_is_written_is_read_again(tmp_path):
    manifest.write(tmp_path / "manifest.csv", [ROW])
    assert manifest.read(tmp_path / "manifest.csv") == [ROW]


def test_a_missing_manifest_states_what_to_run(tmp_path):
    with pytest.raises(UserError, match="ser prepare-data --root DIR"):
        manifest.read(tmp_path / "manifest.csv")


def test_a_missing_column_is_named(tmp_path):
    with (tmp_path / "manifest.csv").open("w") as file:
        csv.writer(file).writerow(column for column in manifest.COLUMNS if column != "speaker")
    with pytest.raises(UserError, match="speaker"):
        manifest.read(tmp_path / "manifest.csv")


def test_durations_are_rounded_as_in_earlier_releases():
    facts = {"duration": [203403 / 48000, 180981 / 48000], "sample_rate": [48000] * 2, "channels": [1] * 2}
    recordings = Rows.of(Recording, [Recording(name, "sad", "1") for name in "ab"])
    table = pa.table({**facts, "sha256": ["x", "y"]})
    rows = manifest.make_utterances(recordings, SimpleNamespace(select=lambda *names: table.select(names)))
    assert [row.duration for row in rows] == [4.237563, 3.770437]
