import csv
import errno
import io
import json
from contextlib import contextmanager
from pathlib import Path

import pytest

from ser.errors import Interrupted, UserError
from ser.inference.journal import Journal
from ser.inference.output import open_output
from ser.inference.output_format import OutputFormat
from ser.inference.predictions import Prediction, WindowPrediction
from ser.inference.target import reserve_output

FORMAT = OutputFormat(["up", "down"], ["toy"])


def window(number):
    return WindowPrediction(f"{number}.wav", 0.0, 1.0, Prediction("up", {"up": 0.75, "down": 0.25}))


@contextmanager
def opened(output, overwrite=False):
    """A function that adds a prediction and ends a block with it."""
    with reserve_output(str(output), overwrite, resume=False) as target:
        journal = Journal(target.journal, {}, overwrite)
        with open_output(target, FORMAT, journal) as rows:

            def add(number):
                rows.add(window(number))
                rows.commit([f"{number}.wav"])

            yield add


def write(output, *numbers, overwrite=False, then=None):
    """Write predictions, and perhaps fail after them."""
    with opened(output, overwrite) as add:
        for number in numbers:
            add(number)
        if then is not None:
            raise then


def names(path):
    content = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        return [json.loads(line)["path"] for line in content.splitlines()]
    return [row["path"] for row in csv.DictReader(io.StringIO(content))]


def below(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_the_predictions_so_far_can_be_read_under_the_name_of_a_partial_file(suffix, tmp_path):
    output = tmp_path / f"a{suffix}"
    with opened(output) as add:
        for number in range(3):
            add(number)
            assert names(tmp_path / f"a.partial{suffix}") == [f"{each}.wav" for each in range(number + 1)]
            assert not output.exists()
    assert names(output) == ["0.wav", "1.wav", "2.wav"]
    assert below(tmp_path) == [output.name]


@pytest.mark.parametrize("end", [KeyboardInterrupt(), RuntimeError("a defect"), OSError(errno.EIO, "a disk")])
def test_whatever_ends_the_command_the_predictions_so_far_are_kept(end, tmp_path):
    with pytest.raises((type(end), UserError)):
        write(tmp_path / "a.csv", 0, 1, then=end)
    assert names(tmp_path / "a.partial.csv") == ["0.wav", "1.wav"]
    assert below(tmp_path) == ["a.partial.csv", "a.partial.csv.json"]


def test_an_interruption_reports_how_many_predictions_are_kept_and_where(tmp_path):
    with pytest.raises(Interrupted, match=r"2 predictions so far are kept in .*a\.partial\.csv"):
        write(tmp_path / "a.csv", 0, 1, then=KeyboardInterrupt())


def test_without_a_prediction_nothing_is_left(tmp_path):
    with pytest.raises(UserError):
        write(tmp_path / "made" / "a.csv", then=UserError("no such checkpoint"))
    assert below(tmp_path) == []


class FillingUp(io.FileIO):
    """A disk with room for some bytes."""

    room = 0

    def write(self, data):
        if not FillingUp.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = super().write(bytes(data)[: FillingUp.room])
        FillingUp.room -= written
        return written


@pytest.mark.parametrize("room", [150, 170, 190])
def test_a_full_disk_leaves_whole_rows(room, tmp_path, monkeypatch):
    FillingUp.room = room
    real = Path.open

    def full(path, *arguments, **options):
        return FillingUp(path, "w") if path.name == "a.partial.csv" else real(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(UserError, match="no space left on the disk"):
        write(tmp_path / "a.csv", *range(100))
    monkeypatch.undo()
    content = (tmp_path / "a.partial.csv").read_text()
    assert content.endswith("\n")
    assert len({line.count(",") for line in content.splitlines()}) == 1
    assert names(tmp_path / "a.partial.csv")


@pytest.mark.parametrize("there", ["a.csv", "a.partial.csv"])
def test_a_file_that_is_there_stays_unless_it_may_be_overwritten(there, tmp_path):
    (tmp_path / there).write_text("mine")
    with pytest.raises(UserError, match="overwrite=true"):
        write(tmp_path / "a.csv", 0)
    assert (tmp_path / there).read_text() == "mine"
    write(tmp_path / "a.csv", 0, overwrite=True)
    assert below(tmp_path) == ["a.csv"]
    assert names(tmp_path / "a.csv") == ["0.wav"]


def test_a_file_that_may_be_overwritten_stays_until_the_new_one_is_whole(tmp_path):
    (tmp_path / "a.csv").write_text("mine")
    with pytest.raises(Interrupted):
        write(tmp_path / "a.csv", 0, overwrite=True, then=KeyboardInterrupt())
    assert (tmp_path / "a.csv").read_text() == "mine"


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("there", ["a.csv", "a.partial.csv"])
def test_a_folder_is_never_replaced_by_predictions(there, overwrite, tmp_path):
    (tmp_path / there).mkdir()
    (tmp_path / there / "notes.txt").write_text("precious")
    with pytest.raises(UserError, match="a folder is here"):
        write(tmp_path / "a.csv", 0, overwrite=overwrite)
    assert (tmp_path / there / "notes.txt").read_text() == "precious"


def test_a_file_that_appears_meanwhile_stays(tmp_path):
    def meanwhile():
        with opened(tmp_path / "a.csv") as add:
            add(0)
            (tmp_path / "a.csv").write_text("mine")

    with pytest.raises(UserError, match="appeared"):
        meanwhile()
    assert (tmp_path / "a.csv").read_text() == "mine"
    assert names(tmp_path / "a.partial.csv") == ["0.wav"]


def test_a_second_command_does_not_write_the_same_file(tmp_path):
    (tmp_path / "sub").mkdir()
    with opened(tmp_path / "a.csv"), pytest.raises(UserError, match="another ser command writes there"):
        write(tmp_path / "sub" / ".." / "a.csv", 0, overwrite=True)


def test_a_link_does_not_change_the_form_of_the_answers(tmp_path):
    (tmp_path / "link.csv").symlink_to("a.jsonl")
    with pytest.raises(UserError, match="whose name ends otherwise"):
        write(tmp_path / "link.csv", 0)


def test_what_a_link_leads_to_is_written(tmp_path):
    (tmp_path / "link.csv").symlink_to("a.csv")
    write(tmp_path / "link.csv", 0)
    assert (tmp_path / "link.csv").is_symlink()
    assert names(tmp_path / "a.csv") == ["0.wav"]
