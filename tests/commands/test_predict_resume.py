import errno
import shutil
from dataclasses import replace
from functools import cache

import numpy as np
import pandas
import pyarrow.parquet as pq
import pytest
import soundfile
from conftest import composed
from helpers import fake_predictor
from helpers.fake_predictor import write_clips

from ser.commands.predict import predict
from ser.errors import Interrupted, UserError
from ser.inference import blocks, journal, shards
from ser.inference import output as rows
from ser.inference.journal import Journal
from ser.inference.output import Output

COUNT = 11
OUTPUTS = ["a.csv", "a.jsonl", "a.parquet", "a/"]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """A fake predictor, blocks of 2 recordings, shards of 4 rows, and a journal that is written after each block."""
    fake_predictor.install(monkeypatch)
    monkeypatch.setattr(blocks, "recordings_at_once", lambda predictor: 2)
    monkeypatch.setattr(shards, "ROWS", 4)
    monkeypatch.setattr(shards, "BUFFERED", 3)
    monkeypatch.setattr(journal, "SAVE_EVERY", 0)


@pytest.fixture
def clips(tmp_path):
    return write_clips(tmp_path / "in", COUNT)


@cache
def defaults():
    return composed("predict", "checkpoint=x", "audio=x")


def command(clips, output, **values):
    return replace(defaults(), **{"audio": str(clips), "output": str(output), **values})


def run(audio, output, **overrides):
    """Predict; the recording that cannot be read ends the command with an error."""
    with pytest.raises(UserError, match=f"1 of {COUNT} recordings could not be read"):
        predict(command(audio, output, **overrides))


def content(place):
    """The bytes of each file of an output, and nothing beside it."""
    files = {path.relative_to(place).as_posix(): path for path in place.rglob("*") if path.is_file()}
    return {name: rows_of(path) if path.suffix == ".parquet" else path.read_bytes() for name, path in files.items()}


def rows_of(path):
    return pandas.read_parquet(path).to_json(orient="records", double_precision=15)


def moments(place, monkeypatch):
    """Copy what is on the disk at each prediction and each end of a block: what a SIGKILL there would leave."""
    copies = []

    def copy():
        copies.append(place.with_name(f"moment {len(copies)}"))
        shutil.copytree(place, copies[-1])

    real_add, real_record = Output.add, Journal.record
    monkeypatch.setattr(Output, "add", lambda *given: (real_add(*given), copy())[0])
    monkeypatch.setattr(Journal, "record", lambda *given: (real_record(*given), copy())[0])
    return copies


@pytest.mark.parametrize("window", [None, 0.1])
@pytest.mark.parametrize("output", OUTPUTS)
def test_a_command_that_is_killed_anywhere_continues_to_the_same_output(output, window, clips, tmp_path, monkeypatch):
    place = tmp_path / "out"
    place.mkdir()
    with monkeypatch.context() as patch:
        copies = moments(place, patch)
        run(clips, f"{place}/{output}", window=window)
    expected = content(place)
    assert len(copies) > COUNT
    for copy in copies:
        run(clips, f"{copy}/{output}", window=window, resume=True)
        assert content(copy) == expected, copy


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_command_that_is_interrupted_anywhere_continues_and_computes_no_block_twice(
    output, clips, tmp_path, monkeypatch
):
    run(clips, f"{tmp_path}/whole/{output}")
    monkeypatch.setattr(journal, "SAVE_EVERY", 3600)  # an interruption saves whatever the time is
    for number in range(1, COUNT):
        place, predicted = tmp_path / str(number), []
        with monkeypatch.context() as patch:
            interrupt_at(number, patch)
            with pytest.raises(Interrupted):
                predict(command(clips, f"{place}/{output}"))
        with monkeypatch.context() as patch:
            real = blocks.predict_clips
            patch.setattr(blocks, "predict_clips", lambda *given: predicted.append(1) or real(*given))  # noqa: B023
            run(clips, f"{place}/{output}", resume=True)
        assert content(place) == content(tmp_path / "whole")
        assert len(predicted) == 6 - (number - 1) // 2


def interrupt_at(number, patch):
    """Interrupt the command before it takes its nth prediction."""
    real, added = Output.add, []

    def add(*given):
        added.append(1)
        if len(added) == number:
            raise KeyboardInterrupt
        real(*given)

    patch.setattr(Output, "add", add)


def interrupted(clips, output, at=6, **overrides):
    with pytest.MonkeyPatch.context() as patch:
        interrupt_at(at, patch)
        with pytest.raises(Interrupted) as error:
            predict(command(clips, output, **overrides))
    return str(error.value)


@pytest.mark.parametrize("output", OUTPUTS)
def test_an_interruption_states_how_to_go_on(output, clips, tmp_path):
    assert interrupted(clips, f"{tmp_path}/{output}").endswith("; the same command with resume=true goes on")
    with pytest.raises(UserError, match="resume=true continues it, overwrite=true replaces it"):
        predict(command(clips, f"{tmp_path}/{output}"))


@pytest.mark.parametrize("output", ["a.csv", "a.jsonl"])
@pytest.mark.parametrize("torn", [b"clip 00", b"\xff\0" * 50])
def test_what_stands_behind_the_last_complete_block_is_predicted_again(torn, output, clips, tmp_path):
    place = tmp_path / "out"
    interrupted(clips, place / output)
    with next(place.glob("a.partial*[v,l]")).open("ab") as file:
        file.write(torn)
    run(clips, place / output, resume=True)
    run(clips, tmp_path / "whole" / output)
    assert content(place) == content(tmp_path / "whole")


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 0.1}, "was made with window=null, not 0.1"),
        ({"max_seconds": 20}, "was made with max_seconds=30.0, not 20"),
        ({"test_time_copies": 2}, "was made with test_time_copies=null, not 2"),
        ({"temperature": 2}, "was made with temperature=null, not 2"),
        ({"audio": "elsewhere"}, "was made with audio="),
    ],
)
def test_an_output_of_other_settings_is_not_continued(settings, message, output, clips, tmp_path):
    place = tmp_path / "out"
    interrupted(clips, f"{place}/{output}")
    before = content(place)
    if "audio" in settings:
        settings = {"audio": str(shutil.copytree(clips, tmp_path / "elsewhere"))}
    with pytest.raises(UserError, match=message) as error:
        predict(command(clips, f"{place}/{output}", resume=True, **settings))
    assert "\n" not in str(error.value)
    assert content(place) == before


def test_an_output_of_another_checkpoint_is_not_continued(clips, tmp_path, monkeypatch):
    interrupted(clips, tmp_path / "a.csv")
    fake_predictor.install(monkeypatch, checkpoint="other weights")
    with pytest.raises(UserError, match=r"a\.partial\.csv was made with other checkpoints; overwrite=true starts anew"):
        predict(command(clips, f"{tmp_path}/a.csv", resume=True))


def test_recordings_that_come_behind_are_predicted_and_one_that_comes_between_is_refused(clips, tmp_path):
    interrupted(clips, tmp_path / "a.csv")
    shutil.copy(clips / "clip 000.wav", clips / "clip 999.wav")
    with pytest.raises(UserError, match=f"1 of {COUNT + 1} recordings"):
        predict(command(clips, f"{tmp_path}/a.csv", resume=True))
    assert pandas.read_csv(tmp_path / "a.csv").path.iloc[-1] == "clip 999.wav"
    interrupted(clips, tmp_path / "b.csv")
    shutil.copy(clips / "clip 000.wav", clips / "clip 000 again.wav")
    with pytest.raises(UserError, match="the first 4 recordings are others by now"):
        predict(command(clips, f"{tmp_path}/b.csv", resume=True))


def change_partial(place):
    text = (place / "a.partial.csv").read_text()
    (place / "a.partial.csv").write_text(text.replace("clip", "clap", 1))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (change_partial, "has been changed"),
        (lambda place: (place / "a.partial.csv").write_text("path"), "has been changed"),
        (lambda place: (place / "a.partial.csv.json").unlink(), "json is missing"),
        (lambda place: (place / "a.partial.csv.json").write_text("{"), "cannot be read"),
        (lambda place: (place / "a.partial.csv.json").write_text('{"done": {}}'), "cannot be read"),
    ],
)
def test_an_unfinished_output_that_was_harmed_is_refused_and_stays(harm, message, clips, tmp_path):
    place = tmp_path / "out"
    interrupted(clips, place / "a.csv")
    harm(place)
    before = content(place)
    with pytest.raises(UserError, match=f"{message}.*overwrite=true starts anew"):
        predict(command(clips, f"{place}/a.csv", resume=True))
    assert content(place) == before


def test_a_shard_that_is_missing_or_broken_is_named(clips, tmp_path):
    again = command(clips, f"{tmp_path}/a/", resume=True)
    interrupted(clips, f"{tmp_path}/a/", at=9)
    last = sorted((tmp_path / "a.partial").iterdir())[-1]
    whole = last.read_bytes()
    last.write_bytes(whole[:-20])
    with pytest.raises(UserError, match=r"part-0000.\.parquet cannot be read"):
        predict(again)
    last.unlink()
    with pytest.raises(UserError, match="lacks rows that were there"):
        predict(again)
    last.write_bytes(whole)
    run(clips, f"{tmp_path}/a/", resume=True)


@pytest.mark.parametrize("window", [None, 0.1])
@pytest.mark.parametrize("output", OUTPUTS)
def test_a_finished_output_with_an_error_ends_the_same_command_with_an_error_again(output, window, clips, tmp_path):
    place = tmp_path / "out"
    run(clips, f"{place}/{output}", window=window, resume=True)
    before = content(place)
    for _ in range(2):
        with pytest.raises(UserError, match=r"it is finished, and 1 recording could not be read to its end; overwrite"):
            predict(command(clips, f"{place}/{output}", window=window, resume=True))
    assert content(place) == before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "file,label\nx.wav,up\n"),
        ("a.csv", "path,emotion\nx\n"),
        ("a.csv", ""),
        ("a.jsonl", "[1]\n"),
        ("a.jsonl", "?"),
        ("a.parquet", "?"),
    ],
)
def test_a_file_that_holds_no_predictions_is_not_taken_for_a_finished_output(name, text, clips, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match="it does not hold predictions of `ser predict`; give another name"):
        predict(command(clips, tmp_path / name, resume=True))
    assert (tmp_path / name).read_text() == text


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_finished_output_has_nothing_left_to_do(output, clips, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("ser.console.start_logging", lambda: None)  # which would keep the lines from caplog
    place = tmp_path / "out"
    (clips / "clip 003.wav").unlink()
    predict(command(clips, f"{place}/{output}", resume=True))
    before = content(place)
    with caplog.at_level("INFO"):
        predict(command(clips, f"{place}/{output}", resume=True))
    assert "it is finished, and nothing is left to do" in caplog.text
    assert content(place) == before


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_replacement_that_was_interrupted_still_replaces_the_old_output(output, clips, tmp_path):
    place = tmp_path / "out"
    run(clips, f"{place}/{output}", max_seconds=20)
    soundfile.write(clips / "clip 000.wav", np.full(2000, 0.5), 16000)
    interrupted(clips, f"{place}/{output}", overwrite=True)
    run(clips, f"{place}/{output}", resume=True)
    run(clips, f"{tmp_path}/whole/{output}")
    assert content(place) == content(tmp_path / "whole")


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("room", range(2, 9))
def test_a_full_disk_costs_nothing_that_was_written(room, output, clips, tmp_path, monkeypatch):
    place = tmp_path / "out"

    def filling(real):
        def write(*given):
            if room <= len(written):
                raise OSError(errno.ENOSPC, "No space left on device")
            written.append(1)
            return real(*given)

        return write

    with monkeypatch.context() as patch:
        written = []
        patch.setattr(pq, "write_table", filling(pq.write_table))
        patch.setattr(rows, "write_all", filling(rows.write_all))
        patch.setattr(journal, "write_json", filling(journal.write_json))
        with pytest.raises(UserError, match="no space left on the disk"):
            predict(command(clips, f"{place}/{output}"))
    run(clips, f"{place}/{output}", resume=True)
    run(clips, f"{tmp_path}/whole/{output}")
    assert content(place) == content(tmp_path / "whole")


def test_the_summary_counts_the_predictions_of_both_commands(clips, tmp_path, capsys):
    run(clips, tmp_path / "whole.csv")
    counts = pandas.read_csv(tmp_path / "whole.csv").emotion.value_counts()
    interrupted(clips, tmp_path / "a.csv")
    capsys.readouterr()
    run(clips, tmp_path / "a.csv", resume=True)
    shown = set(capsys.readouterr().out.strip().split(", "))
    assert shown == {*(f"{number} {emotion}" for emotion, number in counts.items()), "1 without a prediction"}


def test_timelines_are_drawn_for_the_rest_of_the_recordings(clips, tmp_path):
    words = {"window": 0.1, "timeline": f"{tmp_path}/t"}
    interrupted(clips, tmp_path / "a.csv", **words)
    drawn = len(list((tmp_path / "t").glob("*.png")))
    assert 0 < drawn < COUNT - 1
    run(clips, tmp_path / "a.csv", **words, resume=True)
    assert len(list((tmp_path / "t").glob("*.png"))) == COUNT - 1
