import hashlib
import io
import json
import zipfile
from dataclasses import replace

import pytest
from conftest import composed, write_corpus
from helpers.archive_host import ArchiveHost

from ser.commands.prepare_data import prepare_data, summary
from ser.corpora import ravdess
from ser.corpora.download import Archive
from ser.errors import UserError


@pytest.fixture
def host(tmp_path, monkeypatch):
    """RAVDESS with an archive on loopback."""
    write_corpus(tmp_path / "made", actors=range(1, 6))
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path in sorted((tmp_path / "made").rglob("*.wav")):
            archive.write(path, path.relative_to(tmp_path / "made"))
    host = ArchiveHost(content.getvalue())
    archive = Archive(host.url, len(host.content), f"md5:{hashlib.md5(host.content).hexdigest()}")
    monkeypatch.setitem(ravdess.VARIANTS, "speech", replace(ravdess.SPEECH, archives=(archive,)))
    yield host
    host.close()


def config_of(tmp_path, *overrides):
    return composed(
        "prepare_data",
        f"data_dir='{tmp_path / 'data'}'",
        "protocol=random",
        "protocol.validation_fraction=0.2",
        *overrides,
    )


def test_a_corpus_is_fetched_once_and_prepared(host, tmp_path, capsys):
    for _ in range(2):
        prepare_data(config_of(tmp_path, "download=true"))
    assert len(host.asked) == 1
    assert "80 clips, 5 speakers" in capsys.readouterr().out
    assert json.loads((tmp_path / "data" / "audit.json").read_text())["recordings"] == 80


def test_a_corpus_without_a_link_states_where_it_is(tmp_path):
    with pytest.raises(UserError, match=r"urdu has no direct link; see https://github\.com/.*give --root DIR"):
        prepare_data(config_of(tmp_path, "corpus=urdu", "download=true"))


def test_a_download_and_a_root_contradict_each_other(tmp_path):
    with pytest.raises(UserError, match="download=true and root=x contradict each other"):
        prepare_data(config_of(tmp_path, "download=true", "root=x"))


def test_the_summary_states_where_speakers_are_unknown(host, tmp_path):
    prepare_data(config_of(tmp_path, "download=true"))
    report = {**json.loads((tmp_path / "data" / "audit.json").read_text()), "decoded": 80}
    known = summary(report, config_of(tmp_path))
    assert "80 clips, 5 speakers, " in known
    some = summary({**report, "without_speaker": 3}, config_of(tmp_path))
    assert "5 speakers (3 clips of unknown ones)" in some
    assert "5 known speakers and" in some  # random clips: all five are on both sides
    assert "speakers unknown" in summary({**report, "without_speaker": 80}, config_of(tmp_path))


def test_the_summary_counts_one_thing_in_the_singular(host, tmp_path):
    prepare_data(config_of(tmp_path, "download=true"))
    report = {**json.loads((tmp_path / "data" / "audit.json").read_text()), "decoded": 80}
    report["split"] = {**report["split"], "speakers_on_both_sides": ["1"], "copies_on_both_sides_in_all": 1}
    lines = summary(
        {**report, "speakers": 1, "left_out": {"files that are no audio": {"count": 1}}}, config_of(tmp_path)
    )
    for words in ("80 clips, 1 speaker, ", "left out: 1 file that is no audio\n"):
        assert words in lines
    assert "1 speaker and 1 copied recording on both sides" in lines
