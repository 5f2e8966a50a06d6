import json
import subprocess
import sys

import pandas as pd
import pytest
import soundfile
from conftest import composed, tone
from helpers.own_corpora import write_recordings

from ser import config
from ser.config import BadRows, Corpus
from ser.corpora import find_root
from ser.corpora.recordings import add_fragment, split_fragment
from ser.corpora.scanning import scan
from ser.data.preparation import prepare
from ser.data.prepared_corpus import open_prepared
from ser.errors import UserError


def random_protocol():
    return composed(
        "train", "protocol=random", "protocol.test_fraction=0.5", "protocol.validation_fraction=null"
    ).protocol


def table(tmp_path, text, **options):
    """Scan the recordings of a table."""
    (tmp_path / "labels.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    corpus = Corpus("table", table=str(tmp_path / "labels.csv"), **options)
    return scan(find_root(corpus, str(tmp_path / "rec"), tmp_path / "data"), corpus)


@pytest.fixture
def recordings(tmp_path):
    return write_recordings(tmp_path / "rec")


SPREADSHEET = (
    "\ufeffPATH;Emotion;Speaker;Microphone\r\n"
    "anna\\angry\\0.wav;Anger;anna;phone\r\n"
    "ben\\sad\\1.wav;Sadness;unknown;\r\n"
)


def test_a_table_as_a_spreadsheet_writes_it_is_read(recordings, tmp_path):
    first, second = table(tmp_path, SPREADSHEET).recordings
    assert (first.path, first.emotion, first.speaker, first.id) == (
        "anna/angry/0.wav", "angry", "anna", "anna/angry/0",
    )  # fmt: skip
    assert json.loads(first.extra) == {"microphone": "phone"}
    assert (second.emotion, second.speaker, second.extra) == ("sad", "", "")


def test_columns_of_other_names_are_mapped(recordings, tmp_path):
    text = "file,label,who,set\nanna/angry/0.wav,ang,A,dev\nben/sad/0.wav,sad,B,Train\n"
    columns = {"path": "File", "emotion": "label", "speaker": "who", "split": "set"}
    found = table(tmp_path, text, columns=columns).recordings
    assert [(row.emotion, row.speaker, row.split) for row in found] == [
        ("angry", "A", "validation"),
        ("sad", "B", "train"),
    ]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"emoton": "label"}, "corpus.columns.emoton: there is no such column; did you mean emotion?"),
        ({"emotion": "labl"}, "must name the columns 'path' and 'labl' once.*corpus.columns="),
    ],
)
def test_a_column_that_is_not_there_is_named(columns, message, recordings, tmp_path):
    with pytest.raises(UserError, match=message.replace("?", r"\?")):
        table(tmp_path, "path,emotion\nanna/angry/0.wav,angry\n", columns=columns)


BAD = (
    "path,emotion\ngone.wav,angry\nanna/angry/0.wav,\nlost.wav,sad\n"
    "ben/sad/0.wav,sad\nben/sad/0.wav,sad\nben/sad/0.wav,angry\n"
)


def test_all_mistakes_of_a_table_are_reported_at_once_in_one_line(recordings, tmp_path):
    with pytest.raises(UserError) as error:
        table(tmp_path, BAD)
    message = str(error.value)
    assert "2 files that are not there: gone.wav (line 2), lost.wav (line 4)" in message
    assert "1 row without a label: line 3 (anna/angry/0.wav)" in message
    assert "1 row that contradicts an earlier one: line 7 (ben/sad/0.wav, angry; line 5 differs)" in message
    assert message.endswith("corpus.bad_rows=leave_out to leave them out")
    assert "\n" not in message


def test_a_root_one_folder_too_high_is_met_with_the_right_one(recordings, tmp_path):
    rows = "path,emotion\nangry/0.wav,angry\nsad/0.wav,sad\n"
    (tmp_path / "rec" / "aaa").mkdir()  # before the right one, and empty
    with pytest.raises(UserError) as error:
        table(tmp_path, rows)
    place = tmp_path / "rec" / "anna"
    assert str(error.value).endswith(f"sad/0.wav (line 3). All of them are below {place}: give --root {place}")
    assert "2 files that are not there" in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "path,emotion\nangry/0.wav,angry\nanna/angry/0.wav,angry\n",
        "path,emotion\nangry/0.wav,angry\nanna/angry/0.wav,\n",
        "path,emotion\nangry/0.wav,angry\ngone.wav,angry\n",
    ],
)
def test_another_root_is_not_named_where_it_would_not_find_all_files(text, recordings, tmp_path):
    with pytest.raises(UserError, match="Correct the table, or give"):
        table(tmp_path, text)


def test_rows_with_mistakes_are_left_out_where_the_config_reports_it(recordings, tmp_path):
    found = table(tmp_path, BAD, bad_rows=BadRows.leave_out)
    assert [row.path for row in found.recordings] == ["ben/sad/0.wav"]
    counts = {reason: len(paths) for reason, paths in found.left_out.items()}
    assert counts["files that are not there"] == 2
    assert counts["rows that repeat another"] == 1
    assert counts["audio files that the table does not name"] == len(recordings) - 1


def test_paths_may_be_absolute_and_lie_outside_the_root(recordings, tmp_path):
    outside = tmp_path / "elsewhere.wav"
    soundfile.write(outside, tone(0.3), 16000)
    inside = tmp_path / "rec" / "anna/angry/0.wav"
    found = table(tmp_path, f"path,emotion\n{inside},angry\n{outside},sad\n").recordings
    assert [row.path for row in found] == [str(outside), "anna/angry/0.wav"]


def test_a_parquet_file_is_a_table(recordings, tmp_path):
    pd.DataFrame({"path": recordings[:2], "emotion": ["angry", None], "take": [1, 2]}).to_parquet(
        tmp_path / "a.parquet"
    )
    corpus = Corpus("table", table=str(tmp_path / "a.parquet"), bad_rows=BadRows.leave_out)
    assert [json.loads(row.extra) for row in scan(tmp_path / "rec", corpus).recordings] == [{"take": "1"}]


def test_parts_of_a_longer_file_are_recordings_of_their_own(tmp_path):
    (tmp_path / "rec").mkdir()
    soundfile.write(tmp_path / "rec" / "call.wav", tone(3.0), 16000)
    text = (
        'path,emotion,speaker,start,end\ncall.wav,angry,a,0.5,1.5\ncall.wav,sad,a,"1,5",\n'
        "call.wav,angry,b,0,0.5\ncall.wav,sad,b,0.25,0.75\n"
    )
    (tmp_path / "labels.csv").write_text(text)
    corpus = Corpus("table", table=str(tmp_path / "labels.csv"))
    prepare(corpus, random_protocol(), str(tmp_path / "rec"), str(tmp_path / "data"), config.Audit.warn)
    opened = open_prepared(str(tmp_path / "data"), corpus)
    lengths = {row.path: len(opened.audio.samples(opened.indices([row])[0])) for row in opened.utterances}
    assert lengths == {
        "call.wav#t=0,0.5": 8000,
        "call.wav#t=0.25,0.75": 8000,
        "call.wav#t=0.5,1.5": 16000,
        "call.wav#t=1.5,": 24000,
    }
    assert len({row.name for row in opened.utterances}) == 4


@pytest.mark.parametrize("span", [(12345.678, 12345.708), (0.000001, None), (7200.0, 7200.125)])
def test_the_times_of_a_part_are_kept_however_late_it_is(span):
    assert split_fragment(add_fragment("call.wav", *span)) == ("call.wav", span)


@pytest.mark.parametrize(("start", "end"), [("2", "1"), ("x", ""), ("-1", "2"), ("1", "1")])
def test_times_that_are_none_are_named(start, end, recordings, tmp_path):
    with pytest.raises(UserError, match="1 row whose start and end are no times: line 2"):
        table(tmp_path, f"path,emotion,start,end\nanna/angry/0.wav,angry,{start},{end}\n")


def test_a_part_beyond_the_end_of_its_file_is_refused(recordings, tmp_path):
    (tmp_path / "labels.csv").write_text(
        "path,emotion,start,end\nanna/angry/0.wav,angry,0.1,5\nanna/angry/1.wav,angry,,\n"
        "ben/sad/0.wav,sad,,\nben/sad/1.wav,sad,,\n"
    )
    corpus = Corpus("table", table=str(tmp_path / "labels.csv"))
    with pytest.raises(UserError, match=r"ends after 0\.30 s, before this part of it does"):
        prepare(corpus, random_protocol(), str(tmp_path / "rec"), str(tmp_path / "data"), config.Audit.warn)
    assert not (tmp_path / "data" / "manifest.csv").exists()


def test_the_labels_that_were_mapped_and_left_out_stand_in_the_audit(recordings, tmp_path):
    (tmp_path / "labels.csv").write_text(
        "path,emotion\n" + "".join(f"{path},{path.split('/')[1]}\n" for path in recordings)
    )
    corpus = Corpus("table", table=str(tmp_path / "labels.csv"), emotions={"joy": "cheerful", "sad": None, "x": "y"})
    report = prepare(corpus, random_protocol(), str(tmp_path / "rec"), str(tmp_path / "data"), config.Audit.warn)
    assert report["labels"] == {"mapped": {"happy -> cheerful": 8}, "left_out": {"sad": 8}}
    assert report["warnings"] == ["corpus.emotions: no recording has the label x; there are angry, happy, sad"]
    assert report["emotions"] == ["angry", "cheerful"]


def test_data_prepared_with_other_labels_are_refused(recordings, tmp_path):
    (tmp_path / "labels.csv").write_text(
        "path,emotion\n" + "".join(f"{path},{path.split('/')[1]}\n" for path in recordings)
    )
    corpus = Corpus("table", table=str(tmp_path / "labels.csv"))
    prepare(
        corpus, random_protocol(), str(tmp_path / "rec"), str(tmp_path / "d"),
        config.Audit.warn,
    )  # fmt: skip
    with pytest.raises(
        UserError, match=r"prepared with corpus.emotions=None, not {'sad': None}; repeat that here, or prepare"
    ):
        open_prepared(str(tmp_path / "d"), Corpus("table", table="x", emotions={"sad": None}))


def test_reading_a_table_needs_no_audio_library():
    code = "import sys, ser.tables; assert not {'soundfile', 'torch'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_file_of_a_kind_that_is_not_read_is_reported_with_the_other_mistakes(recordings, tmp_path):
    (tmp_path / "rec" / "phone.m4a").write_bytes(b"x")
    with pytest.raises(UserError, match=r"1 file of a kind that is not read \(`ffmpeg .*: phone\.m4a \(line 3\)"):
        table(tmp_path, "path,emotion\nben/sad/0.wav,sad\nphone.m4a,sad\n")


def test_the_columns_that_a_table_has_are_named(recordings, tmp_path):
    with pytest.raises(UserError, match="it has datei, gefühl;"):
        table(tmp_path, "DATEI;GEFÜHL\na;b\n")
