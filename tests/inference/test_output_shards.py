import errno
import os
import shutil

import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ser.errors import Interrupted, UserError
from ser.inference import shards
from ser.inference.journal import Journal
from ser.inference.output import open_output
from ser.inference.output_format import OutputFormat
from ser.inference.predictions import Prediction, WindowPrediction
from ser.inference.target import reserve_output

FORMAT = OutputFormat(["up", "down"], ["toy"])
ENSEMBLE = OutputFormat(["up", "down"], ["a", "b"])


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(shards, "ROWS", 4)
    monkeypatch.setattr(shards, "BUFFERED", 3)


def window(number, **values):
    members = tuple(Prediction("down", {"up": 0.5, "down": 0.5}) for _ in "ab")
    prediction = Prediction("up", {"up": 0.123456789, "down": 0.25}, members)
    return WindowPrediction(f"{number}.wav", 0.0, 1.2344, prediction, **values)


FAILED = WindowPrediction("bad.wav", error="no sound \udce9")


def write(output, *blocks, overwrite=False, then=None, output_format=FORMAT):
    """Write blocks of predictions, and perhaps fail after them."""
    with reserve_output(str(output), overwrite, resume=False) as target:
        journal = Journal(target.journal, {}, overwrite)
        with open_output(target, output_format, journal) as rows:
            for block in blocks:
                for one in block:
                    rows.add(one)
                rows.commit([one.name for one in block])
            if then is not None:
                raise then


def sizes(folder):
    return {path.name: pq.read_metadata(path).num_rows for path in sorted(folder.iterdir())}


def below(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("output", ["a.parquet", "a/"])
def test_numbers_are_numbers_and_what_is_missing_is_null(output, tmp_path):
    write(f"{tmp_path}/{output}", [window(0, warning="silent"), FAILED, window(1)])
    table = pandas.read_parquet(tmp_path / output)
    assert list(table.columns) == ["path", "start", "end", "emotion", "up", "down", "error", "warning"]
    assert table.path.tolist() == ["0.wav", "bad.wav", "1.wav"]
    assert [str(table.dtypes[name]) for name in ("start", "end", "up", "down")] == ["float64"] * 4
    assert table.iloc[0][["start", "end", "up", "down"]].tolist() == [0.0, 1.234, 0.123457, 0.25]
    assert table.iloc[0][["emotion", "warning"]].tolist() == ["up", "silent"]
    assert table.iloc[1].notna().tolist() == [True, *[False] * 5, True, False]
    assert table.error[1] == r"no sound \udce9"
    assert below(tmp_path) == [output.strip("/")]


def test_an_ensemble_has_the_columns_of_its_members(tmp_path):
    write(tmp_path / "a.parquet", [window(0), FAILED], output_format=ENSEMBLE)
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.schema.names == ENSEMBLE.header()
    assert table.schema.field("b: emotion").type == pa.string()
    assert table.column("b: down").to_pylist() == [0.5, None]


def test_columns_of_one_name_are_refused(tmp_path):
    with pytest.raises(UserError, match="columns of different names"):
        write(tmp_path / "a.parquet", [window(0)], output_format=OutputFormat(["up", "error"], ["toy"]))
    assert not below(tmp_path)


def test_a_shard_ends_with_the_block_that_fills_it(tmp_path):
    blocks = [[window(0)], [window(number) for number in range(6)], [window(7)], [window(8), window(9)]]
    write(f"{tmp_path}/a/", *blocks)
    assert sizes(tmp_path / "a") == {"part-00000.parquet": 7, "part-00001.parquet": 3}
    write(tmp_path / "b.parquet", *blocks)
    assert pq.read_table(tmp_path / "b.parquet").equals(pq.read_table(tmp_path / "a"))


def test_datasets_reads_a_folder_of_shards(tmp_path):
    from datasets import load_dataset

    write(f"{tmp_path}/a/", *[[window(number)] for number in range(9)])
    files = str(tmp_path / "a" / "*.parquet")
    rows = load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    assert rows["path"][:] == [f"{number}.wav" for number in range(9)]


def test_full_shards_are_written_at_once_and_the_rest_at_the_end(tmp_path):
    with reserve_output(f"{tmp_path}/a/", False, False) as target:
        with open_output(target, FORMAT, Journal(target.journal)) as rows:
            seen = []
            for number in range(6):
                rows.add(window(number))
                rows.commit([f"{number}.wav"])
                seen.append(len(below(tmp_path / "a.partial")))
                assert len(rows.rows) < 3
        assert seen == [0, 0, 0, 1, 1, 1]
    assert len(sizes(tmp_path / "a")) == 2


@pytest.mark.parametrize("end", [KeyboardInterrupt(), RuntimeError("a defect"), OSError(errno.EIO, "a disk")])
def test_whatever_ends_the_command_complete_blocks_are_kept(end, tmp_path):
    with pytest.raises((type(end), UserError)):
        write(f"{tmp_path}/a/", *[[window(number)] for number in range(6)], then=end)
    assert sizes(tmp_path / "a.partial") == {"part-00000.parquet": 4, "part-00001.parquet": 2}
    assert below(tmp_path) == ["a.partial", "a.partial.json"]


def test_the_message_counts_what_is_in_the_shards(tmp_path, monkeypatch):
    real = pq.write_table

    def full(table, file):
        if table.num_rows < 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(table, file)

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(Interrupted, match=r"4 predictions so far are kept in .*a\.partial; .*resume=true"):
        write(f"{tmp_path}/a/", *[[window(number)] for number in range(6)], then=KeyboardInterrupt())
    assert sizes(tmp_path / "a.partial") == {"part-00000.parquet": 4}
    monkeypatch.undo()


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("there", ["a", "a.partial"])
def test_a_folder_with_other_files_is_never_replaced(there, overwrite, tmp_path):
    (tmp_path / there).mkdir()
    (tmp_path / there / "notes.txt").write_text("precious")
    with pytest.raises(UserError, match=r"holds other files \(notes\.txt\)"):
        write(f"{tmp_path}/a/", [window(0)], overwrite=overwrite)
    assert (tmp_path / there / "notes.txt").read_text() == "precious"


def test_shards_that_are_there_stay_unless_they_may_be_overwritten(tmp_path):
    write(f"{tmp_path}/a/", *[[window(number)] for number in range(6)])
    with pytest.raises(UserError, match=r"a folder is here.*overwrite=true"):
        write(f"{tmp_path}/a/", [window(0)])
    assert len(sizes(tmp_path / "a")) == 2
    write(f"{tmp_path}/a/", [window(0)], overwrite=True)
    assert sizes(tmp_path / "a") == {"part-00000.parquet": 1}


def test_an_empty_folder_is_free_and_a_file_is_not(tmp_path):
    (tmp_path / "a").mkdir()
    write(f"{tmp_path}/a/", [window(0)])
    assert sizes(tmp_path / "a") == {"part-00000.parquet": 1}
    (tmp_path / "b").write_text("mine")
    with pytest.raises(UserError, match="a file is here"):
        write(f"{tmp_path}/b/", [window(0)], overwrite=True)


def test_the_root_of_a_disk_is_refused_before_anything_is_computed(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: True)
    with pytest.raises(UserError, match="root of a disk"):
        write(f"{tmp_path}/a/", [window(0)])


def test_a_folder_beside_which_nothing_can_be_written_is_refused_before_anything_is_computed(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(UserError, match="is not writable"):
        write(f"{tmp_path}/a/", [window(0)])


def test_a_second_command_does_not_write_the_same_shards(tmp_path):
    with (
        reserve_output(f"{tmp_path}/a/", False, False),
        pytest.raises(UserError, match="another ser command writes there"),
    ):
        write(f"{tmp_path}/a/", [window(0)], overwrite=True)


def test_shards_that_appear_meanwhile_stay(tmp_path):
    def meanwhile():
        with (
            reserve_output(f"{tmp_path}/a/", False, False) as target,
            open_output(target, FORMAT, Journal(target.journal)) as rows,
        ):
            rows.add(window(0))
            rows.commit(["0.wav"])
            (tmp_path / "b").mkdir()
            (tmp_path / "b" / "part-00000.parquet").write_text("mine")
            shutil.move(tmp_path / "b", tmp_path / "a")

    with pytest.raises(UserError, match="appeared"):
        meanwhile()
    assert (tmp_path / "a" / "part-00000.parquet").read_text() == "mine"
    assert sizes(tmp_path / "a.partial") == {"part-00000.parquet": 1}


def test_without_a_prediction_no_folder_is_left(tmp_path):
    with pytest.raises(UserError):
        write(f"{tmp_path}/made/a/", then=UserError("no such checkpoint"))
    assert below(tmp_path) == []
