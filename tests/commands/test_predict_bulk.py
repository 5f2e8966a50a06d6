import json
import subprocess
import tracemalloc
from dataclasses import replace

import numpy as np
import pandas
import pytest
import soundfile
from conftest import composed, tone
from helpers import fake_predictor
from helpers.commands import PYTHON
from helpers.fake_predictor import LABELS, write_clips
from helpers.toys import saved

from ser.commands.predict import predict
from ser.data import audio
from ser.errors import UserError
from ser.inference import recordings, summary
from ser.inference.journal import Counts
from ser.inference.output_format import OutputFormat
from ser.inference.predictions import Prediction, WindowPrediction
from ser.inference.summary import Summary

OUTPUTS = ["a.csv", "a.jsonl", "a.parquet", "a/"]


def traced_peak(place, rows, output, monkeypatch):
    """The peak of Python's memory while a list of so many rows is predicted."""
    fake_predictor.install(monkeypatch)
    clip = np.full(400, 100, dtype=np.int16)
    monkeypatch.setattr(audio, "load_short", lambda path, seconds: clip)
    monkeypatch.setattr(audio, "describe_oddity", lambda clip: "")
    monkeypatch.setattr(recordings, "find_problem", lambda path: "")
    names = "\n".join(f"speaker_{number // 100:05d}/utterance_{number:08d}.wav" for number in range(rows))
    (place / f"{rows}.csv").write_text(f"path\n{names}\n")
    cfg = replace(composed("predict", "checkpoint=x", f"audio={place}/{rows}.csv"), output=f"{place}/{rows}{output}")
    tracemalloc.start()
    try:
        predict(cfg)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("output", [".jsonl", ".parquet"])
def test_a_row_takes_less_than_300_bytes(output, tmp_path, monkeypatch):
    monkeypatch.setattr("ser.inference.shards.ROWS", 512)
    traced_peak(tmp_path, 100, output, monkeypatch)  # what is imported and kept
    few, many = (traced_peak(tmp_path, rows, output, monkeypatch) for rows in (1000, 6000))
    assert (many - few) / 5000 < 300


def test_without_a_file_the_table_is_printed_in_pages(monkeypatch, capsys):
    monkeypatch.setattr(summary, "PAGE", 2)
    shown, counts = Summary(OutputFormat(LABELS, ["toy"]), False, None), Counts()
    for number in range(5):
        shown.add(WindowPrediction(f"{number}.wav", 0, 1, Prediction("up", {"up": 0.75, "down": 0.25})))
        assert len(shown.rows) < 2
    shown.print(counts)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith("recording")] == [f"{n}.wav" for n in range(5)]


@pytest.mark.parametrize("output", OUTPUTS)
def test_every_output_has_the_same_predictions(output, tmp_path, monkeypatch):
    fake_predictor.install(monkeypatch)
    clips = write_clips(tmp_path / "in", 5)
    for name in ("b.csv", output):
        cfg = composed("predict", "checkpoint=x", f"audio={clips}")
        with pytest.raises(UserError, match="1 of 5"):
            predict(replace(cfg, output=f"{tmp_path}/{name}"))
    table = pandas.read_csv(tmp_path / "b.csv")
    if output.endswith(".jsonl"):
        lines = [json.loads(line) for line in (tmp_path / output).read_text().splitlines()]
        assert [line.get("probabilities") for line in lines] == [
            None if error == error else dict(zip(LABELS, row, strict=True))
            for error, *row in table[["error", *LABELS]].itertuples(index=False)
        ]
    else:
        other = (pandas.read_csv if output == "a.csv" else pandas.read_parquet)(tmp_path / output)
        pandas.testing.assert_frame_equal(table, other, check_dtype=False)


def test_a_reader_that_is_gone_takes_no_prediction_from_the_file(tmp_path):
    checkpoint = saved(tmp_path / "checkpoint")
    words = ["predict", f"checkpoint={checkpoint}", "audio=-", "window=0.5", f"output={tmp_path}/a.csv"]
    with subprocess.Popen([PYTHON, "-m", "ser", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write((tone(0.5) * 32767).astype("<i2").tobytes())
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.close()
        process.stdin.write((tone(0.5) * 32767).astype("<i2").tobytes())
        process.stdin.close()
        assert process.wait(timeout=60) == 141
    assert len(pandas.read_csv(tmp_path / "a.partial.csv")) == 2, "also the one that could not be printed"


def test_a_summary_that_nobody_reads_leaves_a_finished_file(tmp_path):
    checkpoint = saved(tmp_path / "checkpoint")
    soundfile.write(tmp_path / "a.wav", tone(0.5), 16000)
    words = ["predict", f"checkpoint={checkpoint}", f"audio={tmp_path}/a.wav", f"output={tmp_path}/a.parquet"]
    with subprocess.Popen([PYTHON, "-m", "ser", *words], stdout=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.wait(timeout=60) == 141
    assert len(pandas.read_parquet(tmp_path / "a.parquet")) == 1
    assert not list(tmp_path.glob("*partial*"))
