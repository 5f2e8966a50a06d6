import numpy as np
import pyarrow.parquet as pq
import pytest

from ser.errors import UserError
from ser.inference import embeddings_file
from ser.inference.embeddings_file import open_embeddings
from ser.inference.predictions import Prediction, WindowPrediction


def window(number):
    embedding = np.full(3, number, dtype=np.float32)
    return WindowPrediction(f"{number}.wav", 0.0, 1.0, Prediction("up", {"up": 1.0}, embedding=embedding))


def test_rows_are_written_in_groups_and_read_back_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(embeddings_file, "ROW_GROUP", 2)
    target = tmp_path / "a.parquet"
    with open_embeddings(target, overwrite=False) as write:
        for number in range(5):
            write(window(number))
            assert not target.exists()
    file = pq.ParquetFile(target)
    assert file.schema_arrow.names == ["path", "start", "end", "emotion", "embedding"]
    assert [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)] == [2, 2, 1]
    assert file.read().column("embedding").to_pylist() == [[number] * 3 for number in range(5)]
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_no_more_than_a_row_group_is_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(embeddings_file, "ROW_GROUP", 2)
    with embeddings_file.EmbeddingsFile(tmp_path / "a.parquet") as file:
        for number in range(7):
            file.add(window(number))
            assert len(file.rows) < 2


def test_a_recording_without_a_prediction_has_no_row(tmp_path):
    with open_embeddings(tmp_path / "a.parquet", overwrite=False) as write:
        write(WindowPrediction("broken.wav", error="it is empty"))
    assert pq.read_table(tmp_path / "a.parquet").num_rows == 0


@pytest.mark.parametrize("end", [KeyboardInterrupt, UserError, OSError])
def test_an_interrupted_command_leaves_no_file_and_keeps_the_one_that_was_there(end, tmp_path):
    target = tmp_path / "a.parquet"
    target.write_text("mine")

    def interrupted():
        with open_embeddings(target, overwrite=True) as write:
            write(window(0))
            raise end

    with pytest.raises(end):
        interrupted()
    assert target.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_a_file_that_appears_meanwhile_stays(tmp_path):
    target = tmp_path / "a.parquet"
    with pytest.raises(UserError, match="appeared"), open_embeddings(target, overwrite=False):
        target.write_text("mine")
    assert target.read_text() == "mine"
