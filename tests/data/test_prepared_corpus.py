import errno
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
from conftest import composed, tone, write_corpus

from ser import config
from ser.commands.prepare_data import prepare_data
from ser.config import Corpus
from ser.data import audit, decoding, shards
from ser.data.manifest import Utterance, write_columns
from ser.data.preparation import open_or_prepare, prepare
from ser.data.prepared_corpus import open_prepared
from ser.errors import Interrupted, UserError
from ser.rows import Rows


def prepare_toy(root, data_dir, *overrides):
    cfg = composed("prepare_data", f"root='{root}'", f"data_dir='{data_dir}'", *overrides)
    return prepare(cfg.corpus, cfg.protocol, cfg.root, cfg.data_dir, cfg.on_leak)


def test_the_prepared_folder_has_its_files_and_no_others(tmp_path, corpus_root):
    prepare_toy(corpus_root, tmp_path / "paper")
    prepare_toy(corpus_root, tmp_path / "emobox", "protocol=emobox")
    names = {"manifest.csv", "manifest.arrow", "train.csv", "test.csv", "audit.json", "audio"}
    assert {path.name for path in (tmp_path / "paper").iterdir()} == names
    assert {path.name for path in (tmp_path / "emobox").iterdir()} == names | {"validation.csv"}


def test_of_two_preparations_of_one_folder_the_second_waits_and_decodes_nothing(tmp_path, corpus_root):
    cfg = composed("prepare_data", f"root='{corpus_root}'", f"data_dir='{tmp_path / 'data'}'")
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(prepare, cfg.corpus, cfg.protocol, cfg.root, cfg.data_dir, cfg.on_leak) for _ in range(2)]
    assert sorted(one.result()["decoded"] for one in both) == [0, 384]
    assert {path.name for path in (tmp_path / "data" / "audio").iterdir()} == {"00000.arrow", "index.json"}


def test_what_a_killed_preparation_left_half_written_is_removed(tmp_path, corpus_root):
    for folder in (tmp_path, tmp_path / "audio"):
        (folder / ".train.csv.abcdefgh.tmp").mkdir(parents=True)
        (folder / ".train.csv.abcdefgh.tmp" / "new").write_text("half")
    prepare_toy(corpus_root, tmp_path)
    assert not list(tmp_path.rglob(".*"))


def test_a_list_that_the_next_protocol_lacks_is_removed(tmp_path, corpus_root):
    prepare_toy(corpus_root, tmp_path, "protocol=emobox")
    prepare_toy(corpus_root, tmp_path)
    assert not (tmp_path / "validation.csv").exists()


def test_the_audit_names_what_is_odd(tmp_path):
    root = write_corpus(tmp_path / "corpus", actors=range(1, 6))
    folder = root / "Actor_01"
    soundfile.write(folder / "03-01-01-01-01-01-01.wav", np.zeros(8000), 16000)
    soundfile.write(folder / "03-01-02-01-01-01-01.wav", np.clip(tone(0.3, level=3), -1, 1), 16000)
    soundfile.write(folder / "03-01-03-01-01-01-01.wav", tone(0.02), 16000)
    soundfile.write(folder / "03-01-04-01-01-01-01.wav", np.stack([tone(0.3)] * 2, axis=1), 16000)
    soundfile.write(folder / "03-01-04-01-02-01-01.wav", tone(0.3), 16000)
    (root / "notes.txt").write_text("x")
    prepare_toy(root, tmp_path / "data")
    report = json.loads((tmp_path / "data" / "audit.json").read_text())
    assert report["silent"] == ["Actor_01/03-01-01-01-01-01-01.wav"]
    assert report["clipped"] == ["Actor_01/03-01-02-01-01-01-01.wav"]
    assert report["too_short"] == ["Actor_01/03-01-03-01-01-01-01.wav"]
    assert report["not_mono"] == ["Actor_01/03-01-04-01-01-01-01.wav"]
    assert report["identical"] == [["Actor_01/03-01-04-01-01-01-01.wav", "Actor_01/03-01-04-01-02-01-01.wav"]]
    assert report["left_out"] == {"files that are no audio": {"count": 1, "files": ["notes.txt"]}}
    assert report["corpus"] == "ravdess"
    assert report["protocol"]["name"] == "paper"
    assert len(report["contradicting"]) == report["recordings"] == 80  # RAVDESS has 48 kHz and seconds
    assert report["warnings"] == [
        "80 recordings, where 1440 were published: angry 10 of 192, calm 10 of 192, disgust 10 of 192, "
        "fearful 10 of 192, happy 10 of 192, neutral 10 of 96, sad 10 of 192, surprised 10 of 192",
        "5 speakers, where 24 were published",
    ]
    assert len(audit.describe_oddities(report)) == 7


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: None, "there is no such folder"),
        (lambda root: root.mkdir(), "no recording of RAVDESS"),
        (lambda root: root.write_text("x"), "it is no folder"),
        (lambda root: (root.mkdir(), (root / "a.wav").write_bytes(b"x")), "1 audio file not named as RAVDESS"),
    ],
)
def test_a_root_that_cannot_be_used_leaves_nothing_behind(make, message, tmp_path):
    make(tmp_path / "root")
    with pytest.raises(UserError, match=message):
        prepare_toy(tmp_path / "root", tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_unusable_recordings_leave_what_was_decoded_and_nothing_that_counts_as_prepared(tmp_path):
    root = write_corpus(tmp_path / "root", actors=range(1, 6))
    (root / "Actor_01" / "03-01-05-01-01-01-01.wav").write_bytes(b"")
    with pytest.raises(UserError, match="the file is empty"):
        prepare_toy(root, tmp_path / "data")
    assert [path.name for path in (tmp_path / "data").rglob("*")] == ["audio", "00000.arrow"]
    with pytest.raises(UserError, match=r"no manifest\.csv here"):
        open_prepared(str(tmp_path / "data"), Corpus("ravdess"))
    (root / "Actor_01" / "03-01-05-01-01-01-01.wav").unlink()
    assert prepare_toy(root, tmp_path / "data")["decoded"] == 0


def test_a_full_disk_leaves_nothing_behind(tmp_path, corpus_root, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shards, "write_shard", full)
    with pytest.raises(UserError, match=r"no space left on the disk for .*00000\.arrow"):
        prepare_toy(corpus_root, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_another_corpus_in_the_folder_is_named(data_dir):
    with pytest.raises(UserError, match="holds the corpus ravdess, not synthetic"):
        open_prepared(str(data_dir), Corpus("synthetic"))


def test_a_manifest_that_outgrew_its_cache_is_refused(tmp_path, corpus_root):
    prepare_toy(corpus_root, tmp_path)
    text = (tmp_path / "manifest.csv").read_text()
    (tmp_path / "manifest.csv").write_text(text + text.splitlines()[1].replace("Actor_01", "Actor_99") + "\n")
    with pytest.raises(UserError, match="prepare the data again"):
        open_prepared(str(tmp_path), Corpus("ravdess"))


def test_a_missing_root_states_what_to_give():
    with pytest.raises(UserError, match="ser prepare-data corpus=ravdess --root DIR"):
        prepare(config.Corpus("ravdess"), composed("train").protocol, None, "nowhere", config.Audit.warn)


def test_a_strict_audit_writes_no_lists_where_a_recording_is_on_both_sides_of_any_fold(tmp_path):
    root = write_corpus(tmp_path / "corpus")
    for actor in ("02", "04"):  # tested in the folds 5 and 2
        soundfile.write(root / f"Actor_{actor}" / f"03-01-05-01-01-01-{actor}.wav", tone(0.3), 16000)
    with pytest.raises(UserError, match="on_leak=strict: on both sides of the split: Actor_0"):
        prepare_toy(root, tmp_path / "data", "protocol=emobox", "on_leak=strict")
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"audio"}
    report = prepare_toy(root, tmp_path / "data", "protocol=emobox")
    assert len(report["identical"]) == 1


def opened_from(root, data_dir):
    return open_or_prepare(config.Corpus("ravdess"), composed("train").protocol, str(root), str(data_dir))


def test_another_root_than_the_prepared_one_is_prepared_and_not_ignored(tmp_path, corpus_root, caplog):
    fixed = write_corpus(tmp_path / "fixed", seconds=0.3)
    first = opened_from(corpus_root, tmp_path / "data")
    with caplog.at_level("INFO", "ser"):
        second = opened_from(fixed, tmp_path / "data")
    assert second.utterances[0].sha256 != first.utterances[0].sha256
    assert f"it was made from other files or by another decoder ({corpus_root.resolve()})" in caplog.text


def test_the_prepared_root_is_not_prepared_again(tmp_path, corpus_root, monkeypatch):
    opened_from(corpus_root, tmp_path / "data")
    monkeypatch.setattr("ser.data.preparation.prepare_unlocked", lambda *_: pytest.fail("prepared again"))
    opened_from(corpus_root, tmp_path / "data")


def test_a_recording_that_was_replaced_below_the_root_is_seen(tmp_path):
    root = write_corpus(tmp_path / "corpus", actors=range(1, 6))
    first = opened_from(root, tmp_path / "data")
    soundfile.write(root / "Actor_01" / "03-01-01-01-01-01-01.wav", tone(0.4), 16000)
    assert opened_from(root, tmp_path / "data").utterances[0].sha256 != first.utterances[0].sha256


def set_version(folder, version):
    report = json.loads((folder / "audit.json").read_text())
    (folder / "audit.json").write_text(json.dumps({**report, "decoder": version}))


@pytest.mark.parametrize(("version", "said"), [("1", "an older"), ("99 of the future", "a newer")])
def test_what_another_version_decoded_is_refused_and_prepared_again_from_a_root(version, said, tmp_path, corpus_root):
    first = prepare_toy(corpus_root, tmp_path / "data")
    set_version(tmp_path / "data", version)
    with pytest.raises(UserError, match=f"{said} version of ser decoded it; prepare the data again"):
        open_prepared(str(tmp_path / "data"), Corpus("ravdess"))
    opened_from(corpus_root, tmp_path / "data")
    assert json.loads((tmp_path / "data" / "audit.json").read_text())["decoder"] == first["decoder"]


@pytest.mark.parametrize("name", ["manifest.csv", "audit.json", "audio/00000.arrow", "audio/index.json"])
@pytest.mark.parametrize("kept", [0, 0.5, 0.97])
def test_a_torn_file_is_never_used_and_prepared_again(name, kept, tmp_path, corpus_root):
    prepare_toy(corpus_root, tmp_path / "data")
    whole = (tmp_path / "data" / name).read_bytes()
    (tmp_path / "data" / name).write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(UserError, match=r"prepare the data again|missing$"):
        open_prepared(str(tmp_path / "data"), Corpus("ravdess"))
    if kept:
        opened_from(corpus_root, tmp_path / "data")
        assert (tmp_path / "data" / "manifest.csv").stat().st_size > 0


def test_a_manifest_that_lost_its_last_rows_is_refused(tmp_path, corpus_root):
    prepare_toy(corpus_root, tmp_path)
    lines = (tmp_path / "manifest.csv").read_text().splitlines(keepends=True)
    (tmp_path / "manifest.csv").write_text("".join(lines[:-10]))
    with pytest.raises(UserError, match=r"manifest\.csv is not the one that was prepared"):
        open_prepared(str(tmp_path), Corpus("ravdess"))


@pytest.mark.parametrize("damage", ["absent", "cut", "of another preparation"])
def test_columns_that_are_not_those_of_the_manifest_are_not_used(damage, tmp_path, corpus_root):
    prepare_toy(corpus_root, tmp_path / "data")
    rows, columns = list(open_prepared(str(tmp_path / "data"), Corpus("ravdess")).utterances), tmp_path / "data"
    columns /= "manifest.arrow"
    if damage == "absent":
        columns.unlink()
    elif damage == "cut":
        columns.write_bytes(columns.read_bytes()[:-100])
    else:
        write_columns(columns, Rows.of(Utterance, rows[::-1]))
    assert open_prepared(str(tmp_path / "data"), Corpus("ravdess")).utterances == rows


def test_an_interruption_is_one_line_and_leaves_nothing_behind(tmp_path, corpus_root, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(decoding.audio, "load", interrupted)
    with pytest.raises(Interrupted, match="nothing half-written"):
        prepare_data(composed("prepare_data", f"root='{corpus_root}'", f"data_dir='{tmp_path / 'data'}'"))
    assert not (tmp_path / "data").exists()


def test_a_root_whose_other_files_have_names_that_are_no_utf8_is_prepared(tmp_path):
    root = tmp_path / os.fsdecode(b"corp\xfcs")
    os.rename(write_corpus(tmp_path / "corpus", actors=range(1, 6)), root)
    (root / os.fsdecode(b"J\xf6rg.txt")).write_bytes(b"x")
    prepare_toy(root, tmp_path / "data")
    report = json.loads((tmp_path / "data" / "audit.json").read_text(encoding="utf-8"))
    assert report["left_out"]["files that are no audio"]["files"] == [r"'J\udcf6rg.txt'"]
    assert report["root"].endswith(r"corp\udcfcs")


def test_what_an_earlier_release_prepared_is_opened_with_the_facts_of_its_corpus(prepared, data_dir, tmp_path):
    shutil.copytree(data_dir, tmp_path / "data")
    report = json.loads((tmp_path / "data" / "audit.json").read_text())
    for key in ("settings", "facts", "emotions", "labels", "warnings", "without_speaker"):
        del report[key]
    (tmp_path / "data" / "audit.json").write_text(json.dumps(report))
    opened = open_prepared(str(tmp_path / "data"), Corpus("ravdess"))
    assert opened.utterances == prepared.utterances
    assert (opened.emotions, opened.facts.description) == (prepared.emotions, "RAVDESS, speech part (CC BY-NC-SA 4.0)")


def test_a_manifest_of_a_corpus_with_one_language_has_the_columns_of_earlier_releases(data_dir):
    header = (data_dir / "manifest.csv").read_text().splitlines()[0]
    assert header == "path,emotion,speaker,gender,intensity,statement,repetition,duration,sample_rate,channels,sha256"
