import json
import shutil
from dataclasses import replace

import pytest
import soundfile
from conftest import composed
from helpers.own_corpora import folders, prepare_folders

from ser import config
from ser.config import Corpus, SharedLabels
from ser.corpora.synthetic import waveform
from ser.data import duplicates
from ser.data.preparation import open_or_prepare, prepare
from ser.errors import UserError


@pytest.fixture
def parts(tmp_path):
    """Two prepared corpora that share two emotions and the names of speakers."""
    prepare_folders(tmp_path, "one", emotions=("angry", "happy", "sad"))
    prepare_folders(tmp_path, "two", emotions=("angry", "neutral", "sad"), rate=22050)
    return tmp_path


def combine(folder, labels=SharedLabels.shared, **options):
    corpus = Corpus("both", reader="combined", parts=["one", "two"], labels=labels, **options)
    protocol = composed("train", "protocol=cross_corpus").protocol
    return open_or_prepare(corpus, protocol, None, str(folder / "both"))


def test_corpora_are_joined_with_the_emotions_that_all_have(parts):
    both = combine(parts)
    assert both.emotions == ("angry", "sad")
    assert len(both.utterances) == 32
    assert {row.speaker for row in both.utterances} == {
        f"{corpus}/{name}" for corpus in ("one", "two") for name in ("anna", "ben", "carl", "dora")
    }
    audit = json.loads((parts / "both" / "audit.json").read_text())
    assert {reason: entry["count"] for reason, entry in audit["left_out"].items()} == {
        "recordings of one whose emotion another corpus lacks (happy)": 8,
        "recordings of two whose emotion another corpus lacks (neutral)": 8,
    }
    assert both.labels["left_out"] == {"happy of one": 8, "neutral of two": 8}  # what every report says


def test_all_emotions_are_kept_where_the_config_reports_it(parts):
    assert combine(parts, SharedLabels.all).emotions == ("angry", "happy", "neutral", "sad")


def test_the_audio_of_joined_corpora_is_that_of_each(parts):
    both = combine(parts)
    one = open_or_prepare(folders("one"), composed("train").protocol, None, str(parts / "one"))
    for row in both.utterances:
        if row.corpus == "one":
            [index] = one.indices([replace(row, path=row.path.removeprefix("one/"))])
            alone = one.audio.samples(index)
            assert both.audio.samples(both.indices([row])[0]).tolist() == alone.tolist()
    assert not (parts / "both" / "audio").exists()


def test_equal_recordings_are_found_across_corpora(tmp_path):
    prepare_folders(tmp_path, "one")
    prepare_folders(tmp_path, "two")
    combine(tmp_path)
    audit = json.loads((tmp_path / "both" / "audit.json").read_text())
    assert ["one/anna/angry/0.wav", "two/anna/angry/0.wav"] in audit["identical"]
    assert audit["split"]["copies_on_both_sides"]  # one corpus is trained on, the other tested


def prepare_speech(base, name, level):
    """Prepare six recordings of speech at some level; their names."""
    root, names = base / f"{name}-recordings", list[str]()
    for number, speaker in enumerate(("anna", "ben", "carl"), 1):
        for emotion, code in (("angry", "05"), ("happy", "03")):
            names.append(f"{speaker}/{emotion}/0.wav")
            (root / speaker / emotion).mkdir(parents=True)
            soundfile.write(root / names[-1], level * waveform(code, "01", "01", "01", f"0{number}"), 16_000)
    words = ("protocol=random", "protocol.test_fraction=0.5", "protocol.validation_fraction=null")
    protocol = composed("train", *words).protocol
    prepare(folders(name), protocol, str(root), str(base / name), config.Audit.warn)
    return names


@pytest.mark.parametrize("limit", [0, 1000], ids=["index", "all pairs"])
def test_changed_copies_are_found_across_corpora(limit, tmp_path, monkeypatch):
    monkeypatch.setattr(duplicates, "ALL_PAIRS", limit)
    prepare_speech(tmp_path, "one", 1.0)
    names = prepare_speech(tmp_path, "two", 0.3)
    both = combine(tmp_path)
    audit = json.loads((tmp_path / "both" / "audit.json").read_text())
    pairs = [[f"one/{name}", f"two/{name}"] for name in names]
    assert [copy["files"] for copy in audit["copies"]] == pairs
    assert len(both.duplicates) == 6
    assert audit["split"]["copies_on_both_sides"] == pairs


def test_a_part_that_changed_is_joined_anew(parts):
    before = combine(parts)
    shutil.rmtree(parts / "one-recordings")
    prepare_folders(parts, "one", takes=3)
    after = combine(parts)
    assert len(after.utterances) == len(before.utterances) + 8


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["one", "three"], "three is not prepared; run `ser prepare-data corpus=three"),
        (["one", "one"], "name prepared corpora, each once"),
        ([], "name prepared corpora"),
    ],
)
def test_parts_that_cannot_be_joined_are_named(names, message, parts):
    corpus = Corpus("both", reader="combined", parts=names)
    with pytest.raises(UserError, match=message):
        prepare(corpus, composed("train", "protocol=cross_corpus").protocol, None, str(parts / "x"), config.Audit.warn)


def test_corpora_without_a_common_emotion_are_refused(parts):
    with pytest.raises(UserError, match="no emotion is in all corpora: one has happy; two has neutral"):
        combine(parts, emotions={"angry": None, "sad": None})
