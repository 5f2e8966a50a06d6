import csv
import json
import os
import shutil
import struct
import subprocess

import numpy as np
import pandas
import pytest
import soundfile
from conftest import composed, tone
from helpers.commands import PYTHON, ser
from helpers.toys import saved

from ser import load
from ser.commands.predict import predict
from ser.corpora.ravdess import EMOTIONS
from ser.data import audio
from ser.errors import Interrupted, UserError
from ser.inference import blocks


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("toy") / "checkpoint")


@pytest.fixture
def folder(tmp_path):
    """Three recordings of one tone in three containers, and one of another."""
    place = tmp_path / "recordings"
    (place / "deep").mkdir(parents=True)
    samples = (32767 * tone(0.5)).astype(np.int16)
    soundfile.write(place / "a.wav", samples, 16000)
    soundfile.write(place / "b.flac", samples, 16000)
    soundfile.write(place / "deep" / "c.wav", np.stack([samples] * 2, axis=1), 16000)
    soundfile.write(place / "other.wav", tone(1.0, frequency=2000), 16000)
    return place


def answers(toy, given, output, *overrides):
    """Rows of the file that `ser predict` writes."""
    checkpoint = str(toy) if not isinstance(toy, list) else [str(one) for one in toy]
    predict(composed("predict", f"checkpoint={checkpoint}", f"audio='{given}'", f"output='{output}'", *overrides))
    return read(output)


def read(output):
    if output.suffix == ".jsonl":
        return [json.loads(line) for line in output.read_text().splitlines()]
    with output.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_is_answered_by_name_in_order_whatever_the_container(toy, folder, tmp_path, capsys):
    rows = answers(toy, folder, tmp_path / "a.csv")
    assert [row["path"] for row in rows] == ["a.wav", "b.flac", "deep/c.wav", "other.wav"]
    for row in rows:
        shares = {emotion: float(row[emotion]) for emotion in EMOTIONS}
        assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
        assert row["emotion"] == max(shares, key=lambda emotion: shares[emotion])
    shown = capsys.readouterr().out.splitlines()[1:]
    assert [line.split()[:2] for line in shown] == [[row["path"], row["emotion"]] for row in rows]
    same = [[row[emotion] for emotion in EMOTIONS] for row in rows]
    assert same[0] == same[1] == same[2] != same[3]


def test_json_lines_hold_what_the_csv_holds(toy, folder, tmp_path):
    table, lines = (answers(toy, folder, tmp_path / name) for name in ("a.csv", "a.jsonl"))
    for row, line in zip(table, lines, strict=True):
        assert {name: float(row[name]) for name in EMOTIONS} == line["probabilities"]
        assert (row["path"], row["emotion"], float(row["end"])) == (line["path"], line["emotion"], line["end"])


def test_batch_single_windowed_and_live_answers_agree(toy, folder, tmp_path):
    whole = {row["path"]: row["probabilities"] for row in answers(toy, folder, tmp_path / "whole.jsonl")}
    (single,) = answers(toy, folder / "other.wav", tmp_path / "single.jsonl", "batch_size=1")
    (window,) = answers(toy, folder / "other.wav", tmp_path / "window.jsonl", "window=1")
    pcm = audio.load(folder / "other.wav").samples.astype("<i2").tobytes()
    live = ser("predict", f"checkpoint={toy}", "--audio", "-", "window=1", input=pcm, text=False)
    for row in (single, window, json.loads(live.stdout)):
        assert list(row["probabilities"].values()) == pytest.approx(list(whole["other.wav"].values()), abs=2e-6)


def test_a_live_answer_is_printed_while_the_sound_goes_on(toy):
    command = [PYTHON, "-m", "ser", "predict", f"checkpoint={toy}", "audio=-", "window=0.5"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        for number in range(2):
            process.stdin.write((tone(0.5) * 32767).astype("<i2").tobytes())
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["start"] == 0.5 * number
        process.stdin.close()
        assert process.wait(timeout=60) == 0


def test_several_checkpoints_are_shown_one_by_one_beside_their_mean(toy, folder, tmp_path):
    other = saved(tmp_path / "other", seed=1)
    (line,) = answers([toy, other], folder / "a.wav", tmp_path / "a.jsonl")
    assert [member["checkpoint"] for member in line["members"]] == [str(toy), str(other)]
    first, second = (member["probabilities"] for member in line["members"])
    mean = {emotion: (first[emotion] + second[emotion]) / 2 for emotion in EMOTIONS}
    assert line["probabilities"] == pytest.approx(mean, abs=1e-5)
    (row,) = answers([toy, other], folder / "a.wav", tmp_path / "a.csv")
    assert float(row[f"{other}: calm"]) == second["calm"]
    (voted,) = answers([toy, other], folder / "a.wav", tmp_path / "v.jsonl", "ensemble=vote")
    assert set(voted["probabilities"].values()) <= {0.0, 0.5, 1.0}


def test_a_long_recording_needs_a_window_and_gets_a_timeline(toy, tmp_path):
    soundfile.write(tmp_path / "long.wav", tone(3), 16000)
    with pytest.raises(UserError, match="1 of 1 recordings"):
        answers(toy, tmp_path / "long.wav", tmp_path / "a.csv", "max_seconds=2")
    assert "window=4" in read(tmp_path / "a.csv")[0]["error"]
    rows = answers(
        toy,
        tmp_path / "long.wav",
        tmp_path / "b.csv",
        "max_seconds=2",
        "window=1",
        "hop=0.5",
        f"timeline={tmp_path / 't'}",
    )
    assert [row["start"] for row in rows] == ["0.000", "0.500", "1.000", "1.500", "2.000"]
    assert {path.name for path in (tmp_path / "t").iterdir()} == {"long.wav.png", "long.wav.pdf"}


def hostile(folder):
    """Files that nobody should be able to harm anybody with, and what is said of each."""
    soundfile.write(folder / "good.wav", tone(0.5), 16000)
    whole = (folder / "good.wav").read_bytes()
    wav = {
        "cut in the header.wav": whole[:30],
        "cut.wav": whole[:-1000],
        "empty.wav": b"",
        "text.wav": b"RIFF, they say",
    }
    for name, content in wav.items():
        (folder / name).write_bytes(content)
    soundfile.write(folder / "ten hours.flac", tone(0.1), 16000)
    content = bytearray((folder / "ten hours.flac").read_bytes())
    content[22:26] = struct.pack(">I", 576_000_000)
    (folder / "ten hours.flac").write_bytes(bytes(content))
    soundfile.write(folder / "nan.wav", np.full(8000, np.nan), 16000, subtype="FLOAT")
    soundfile.write(folder / "infinite.wav", np.full(8000, -np.inf), 16000, subtype="DOUBLE")
    soundfile.write(folder / "one sample.wav", np.ones(1), 16000)
    soundfile.write(folder / "line\nbreak \x1b[31m[bold].wav", tone(0.5), 16000)
    soundfile.write(folder / "192 kHz.wav", tone(0.5, rate=192000), 192000, subtype="PCM_24")
    soundfile.write(folder / "eight channels.wav", np.stack([tone(0.5)] * 8, axis=1), 16000)
    return {
        "cut in the header.wav": "decoded", "cut.wav": "truncated", "empty.wav": "empty", "text.wav": "decoded",
        "ten hours.flac": "decoded", "nan.wav": "NaN or infinite", "infinite.wav": "NaN or infinite",
        "one sample.wav": "shorter than", "good.wav": "", "192 kHz.wav": "", "eight channels.wav": "",
        r"line\nbreak \x1b[31m[bold].wav": "",
    }  # fmt: skip


@pytest.mark.parametrize("window", ["null", "0.25"])
def test_a_bad_file_is_named_and_does_not_stop_the_rest(window, toy, tmp_path, capfd):
    (tmp_path / "files").mkdir()
    reasons = hostile(tmp_path / "files")
    with pytest.raises(UserError, match="8 of 12 recordings"):
        answers(toy, tmp_path / "files", tmp_path / "a.csv", f"window={window}")
    told = {row["path"]: row for row in read(tmp_path / "a.csv") if row["error"] or not reasons[row["path"]]}
    assert set(told) == set(reasons)
    for name, reason in reasons.items():
        assert reason in told[name]["error"], name
        assert bool(told[name]["emotion"]) == (not reason), name
    shown = capfd.readouterr()
    assert "\x1b" not in shown.out + shown.err


def test_the_exit_status_states_that_a_recording_has_no_answer(toy, folder):
    (folder / "bad.wav").write_bytes(b"nothing")
    done = ser("predict", f"checkpoint={toy}", "--audio", str(folder))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1] == "ser: 1 of 5 recordings could not be read to their end"
    assert "deep/c.wav" in done.stdout


def test_a_path_with_any_character_is_a_path(toy, tmp_path):
    name = "it's, 'quoted' = ${x} (1) \\.wav"
    soundfile.write(tmp_path / name, tone(0.3), 16000)
    done = ser("predict", f"checkpoint={toy}", "--audio", str(tmp_path / name))
    assert done.returncode == 0, done.stderr


def test_many_answers_in_a_file_are_counted_on_the_terminal(toy, tmp_path, capsys):
    (tmp_path / "many").mkdir()
    for number in range(60):
        soundfile.write(tmp_path / "many" / f"{number}.wav", tone(0.1), 16000)
    (emotion,) = {row["emotion"] for row in answers(toy, tmp_path / "many", tmp_path / "a.csv")}
    assert capsys.readouterr().out.strip() == f"60 {emotion}"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["output=a.txt"], r"output=a.txt: its name must end in .csv or .jsonl or .parquet or, for a folder of"),
        (["embeddings=a.csv"], r"embeddings=a.csv: its name must end in .parquet"),
        (["embeddings=a.parquet", "checkpoint=[a,b]"], r"embeddings=a.parquet: embeddings are those of one checkpoint"),
        (["output=.csv"], r"output=.csv: its name must end in .csv or .jsonl"),
        (["resume=true"], "it needs output=FILE"),
        (["resume=true", "overwrite=true", "output=a.csv"], "contradict each other"),
        (["resume=true", "audio=-", "window=4", "output=a.csv"], "audio=- cannot be read again"),
        (["resume=true", "output=a.csv", "embeddings=a.parquet"], "resume=true cannot continue them"),
        (["hop=1"], "hop needs a window"),
        (["timeline=here"], "timeline needs a window"),
        (["window=60"], "between 0.1 and max_seconds=30"),
        (["window=4", "hop=0"], "hop=0.0: it must be at least 0.01"),
        (["batch_size=0"], "batch_size=0"),
        (["window=4", "hop=1e-9"], "hop=1e-09: it must be at least 0.01"),
        (["window=4", "hop=inf"], "hop=inf: it must be at least 0.01"),
        (["window=nan"], "window=nan: it must be at least 0.1"),
        (["max_seconds=inf"], "max_seconds=inf: it must be above 0"),
        (["sample_rate=1"], "at least 1000 and at most 1000000"),
        (["channels=0"], "at least 1 and at most 1024"),
        (["audio=-", "window=4", "timeline=here"], "no end to draw"),
        (["checkpoint=[]"], "at least one"),
        (["checkpoint=[x,x]"], "each once"),
        (["checkpoint=nowhere"], "no such folder"),
    ],
)
def test_a_mistake_is_reported_before_anything_is_predicted(overrides, message, toy, tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(0.3), 16000)
    with pytest.raises(UserError, match=message):
        predict(composed("predict", f"checkpoint={toy}", f"audio={tmp_path / 'a.wav'}", *overrides))


def shares(answer):
    return list(answer["probabilities"].values())


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_a_wav_through_a_pipe_has_the_answers_of_the_file(subtype, toy, tmp_path):
    stereo = np.stack([tone(1.3, rate=48000), tone(1.3, rate=48000, frequency=900)], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, 48000, subtype=subtype)
    rows = answers(toy, tmp_path / "a.wav", tmp_path / "a.jsonl", "window=0.5")
    done = ser(
        "predict", f"checkpoint={toy}", "audio=-", "window=0.5", input=(tmp_path / "a.wav").read_bytes(), text=False
    )
    live = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["start"], row["end"]) for row in live] == [(row["start"], row["end"]) for row in rows]
    for row, one in zip(rows, live, strict=True):
        assert shares(one) == pytest.approx(shares(row), abs=2e-6)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", b"it was empty"), (b"fLaC" + bytes(4000), b"ffmpeg -i - -f wav -"), (b"\0\0\0\x20ftypM4A ", b"ffmpeg")],
)
def test_standard_input_that_is_no_sound_is_refused_in_a_line(content, message, toy, tmp_path):
    output = tmp_path / "a.csv"
    done = ser("predict", f"checkpoint={toy}", "audio=-", "window=1", f"output={output}", input=content, text=False)
    assert done.returncode == 1
    assert not done.stdout
    assert message in done.stderr.splitlines()[-1]
    assert b"Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_ctrl_c_keeps_the_predictions_so_far_and_states_where(toy, folder, tmp_path, monkeypatch, capsys):
    real = blocks.chunks

    def interrupted(items, size):
        for number, some in enumerate(real(items, 2)):
            if number == 1:
                raise KeyboardInterrupt
            yield some

    monkeypatch.setattr(blocks, "chunks", interrupted)
    with pytest.raises(Interrupted, match=r"2 predictions so far are kept in .*a\.partial\.csv"):
        answers(toy, folder, tmp_path / "a.csv")
    assert [row["path"] for row in read(tmp_path / "a.partial.csv")] == ["a.wav", "b.flac"]
    assert not (tmp_path / "a.csv").exists()
    with pytest.raises(Interrupted, match="there were 2 predictions"):
        predict(composed("predict", f"checkpoint={toy}", f"audio={folder}"))
    assert "a.wav" in capsys.readouterr().out, "what no file keeps is shown"


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_or_the_list_itself_is_never_replaced_by_the_answers(overwrite, toy, folder, tmp_path):
    (tmp_path / "results.csv").mkdir()
    (tmp_path / "results.csv" / "notes.txt").write_text("precious")
    with pytest.raises(UserError, match="a folder is here"):
        answers(toy, folder, tmp_path / "results.csv", f"overwrite={overwrite}")
    assert (tmp_path / "results.csv" / "notes.txt").read_text() == "precious"
    (folder / "list.csv").write_text("path\na.wav\n")
    with pytest.raises(UserError, match="it is what audio= reads"):
        answers(toy, folder / "list.csv", folder / "list.csv", f"overwrite={overwrite}")
    assert (folder / "list.csv").read_text() == "path\na.wav\n"


def test_an_output_that_is_not_writable_is_refused_before_the_checkpoint_is_opened(toy, folder, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        answers(tmp_path / "no checkpoint", folder, tmp_path / "file" / "a.csv")


def test_a_name_that_is_no_text_is_escaped_and_answered(toy, folder, tmp_path):
    shutil.copy(folder / "a.wav", os.fsencode(folder) + b"/caf\xe9.wav")
    for name in ("a.csv", "a.jsonl"):
        rows = {row["path"]: row for row in answers(toy, folder, tmp_path / name)}
        assert len(rows) == 5
        assert rows[r"caf\udce9.wav"]["emotion"] == rows["a.wav"]["emotion"]


def test_silence_is_reported_with_every_prediction(toy, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("ser.console.start_logging", lambda: None)  # which would keep the lines from caplog
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in" / "silent.wav", np.zeros(16000), 16000)
    soundfile.write(tmp_path / "in" / "tone.wav", tone(1), 16000)
    for output, window in (("a.csv", "null"), ("b.csv", "0.5")):
        for row in answers(toy, tmp_path / "in", tmp_path / output, f"window={window}"):
            assert ("silent" in row["warning"]) == (row["path"] == "silent.wav")
    assert caplog.text.count("silent.wav: it is silent") == 2


def test_one_checkpoint_in_two_spellings_does_not_answer_twice(toy, folder, tmp_path):
    with pytest.raises(UserError, match="it is the same as"):
        answers([toy, toy.parent / "." / ".." / toy.parent.name / toy.name], folder, tmp_path / "a.csv")


def test_live_audio_is_brought_from_its_rate_and_channels(toy):
    stereo = np.stack([tone(1, rate=48000)] * 2, axis=1)
    told = {}
    for rate, channels, samples in ((48000, 2, stereo), (16000, 1, tone(1))):
        pcm = (samples * 32767).astype("<i2").tobytes()
        done = ser(
            "predict", f"checkpoint={toy}", "audio=-", "window=0.9", f"sample_rate={rate}", f"channels={channels}",
            input=pcm, text=False,
        )  # fmt: skip
        told[rate] = json.loads(done.stdout.splitlines()[0])["probabilities"]
    assert told[48000] == pytest.approx(told[16000], abs=0.05)


def test_embeddings_are_those_of_the_api_with_a_row_for_each_readable_recording(toy, folder, tmp_path):
    (folder / "broken.wav").write_bytes(b"RIFF")
    output = tmp_path / "new" / "embeddings.parquet"
    with pytest.raises(UserError, match="1 of 5 recordings could not be read"):
        predict(composed("predict", f"checkpoint={toy}", f"audio={folder}", f"embeddings={output}"))
    table = pandas.read_parquet(output)
    assert table.path.tolist() == ["a.wav", "b.flac", "deep/c.wav", "other.wav"]
    expected = load(toy).embed([str(folder / name) for name in table.path])
    assert np.stack(table.embedding) == pytest.approx(np.stack(expected), abs=1e-6)
    assert table.embedding[0].dtype == np.float32
    plain = answers(toy, folder / "a.wav", tmp_path / "a.jsonl")
    assert (table.emotion[0], table.start[0], table.end[0]) == (plain[0]["emotion"], plain[0]["start"], plain[0]["end"])


def test_predictions_are_the_same_beside_embeddings(toy, folder, tmp_path):
    plain = answers(toy, folder, tmp_path / "a.jsonl")
    beside = answers(toy, folder, tmp_path / "b.jsonl", f"embeddings={tmp_path / 'b.parquet'}")
    for one, other in zip(plain, beside, strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=2e-6)


def test_windows_of_files_and_of_standard_input_have_the_same_embeddings(toy, folder, tmp_path):
    words = ("predict", f"checkpoint={toy}", "window=0.4", f"--embeddings={tmp_path / 'live.parquet'}")
    done = ser(*words, "--audio", "-", input=(folder / "other.wav").read_bytes(), text=False)
    assert done.returncode == 0
    answers(toy, folder / "other.wav", tmp_path / "a.csv", "window=0.4", f"embeddings={tmp_path / 'file.parquet'}")
    live, file = (pandas.read_parquet(tmp_path / f"{name}.parquet") for name in ("live", "file"))
    assert live.start.tolist() == file.start.tolist() == [0.0, 0.4, 0.6]
    assert np.stack(live.embedding) == pytest.approx(np.stack(file.embedding), abs=1e-5)


def test_a_file_in_place_of_the_embeddings_stays_before_the_checkpoint_is_opened(toy, folder, tmp_path):
    output = tmp_path / "a.parquet"
    output.write_text("mine")
    words = (f"audio={folder}", f"embeddings={output}")
    with pytest.raises(UserError, match=r"embeddings=.*a\.parquet: a file is here"):
        predict(composed("predict", f"checkpoint={tmp_path / 'nowhere'}", *words))
    assert output.read_text() == "mine"
    predict(composed("predict", f"checkpoint={toy}", *words, "overwrite=true"))
    assert len(pandas.read_parquet(output)) == 4


def test_copies_of_a_recording_are_averaged_whatever_else_is_predicted(toy, folder, tmp_path):
    (plain,) = answers(toy, folder / "a.wav", tmp_path / "a.jsonl")
    (alone,) = answers(toy, folder / "a.wav", tmp_path / "b.jsonl", "test_time_copies=2")
    among = answers(toy, folder, tmp_path / "c.jsonl", "test_time_copies=2")
    (same,) = (one for one in among if one["path"] == alone["path"])
    assert same["probabilities"] == pytest.approx(alone["probabilities"], abs=2e-6)
    assert alone["probabilities"] != plain["probabilities"]


def test_a_temperature_makes_predictions_less_certain_and_no_others(toy, folder, tmp_path):
    plain, softened = (answers(toy, folder, tmp_path / f"{word}.jsonl", f"temperature={word}") for word in ("1", "3"))
    assert [one["emotion"] for one in softened] == [one["emotion"] for one in plain]
    for before, after in zip(plain, softened, strict=True):
        assert max(after["probabilities"].values()) < max(before["probabilities"].values())


def test_embeddings_have_no_copies():
    with pytest.raises(UserError, match="test_time_copies=2: embeddings are those of the clip alone"):
        composed("predict", "checkpoint=x", "audio=a.wav", "embeddings=e.parquet", "test_time_copies=2")
