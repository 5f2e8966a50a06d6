import json
import shutil
from types import SimpleNamespace

import pytest

from ser.corpora import ravdess
from ser.reports import provenance
from ser.serving.model_summary import summarise

INDEPENDENT = "Speaker-independent: no test speaker occurs in the training split."
EMOTIONS = ["angry", "calm", "sad", "happy"]
IDENTITY = {"name": "emobox", "fold": 2, "seed": 0, "test_sha256": "ab12"}
STAMP = {"corpus": "ravdess", "model": "tiny", "identity": IDENTITY, "step": 300}


def member(folder, stamp=STAMP, **differences):
    """A checkpoint in its run folder, with a report of the given numbers."""
    source = provenance.Provenance(
        corpus="ravdess", description="RAVDESS", synthetic=False, protocol=IDENTITY, split="test",
        protocol_text=INDEPENDENT, leaks=[], speaker_independent=True, model="tiny", seed=0,
        step=300,
    )  # fmt: skip
    numbers = {"accuracy": 0.5, "unweighted_average_recall": 0.4}
    intervals = {"accuracy": [0.41, 0.59], "unweighted_average_recall": [0.3, 0.5]}
    content = {**source.to_report(), "clips": 96, **numbers, "intervals": intervals, **differences}
    (folder / "checkpoint").mkdir()
    (folder / "classification_report.json").write_text(json.dumps(content))
    return SimpleNamespace(name=str(folder), folder=folder / "checkpoint", stamp=stamp, labels=EMOTIONS)


def test_the_score_stands_with_its_interval_its_protocol_and_what_guessing_gives(tmp_path):
    found = summarise(member(tmp_path))
    assert found.title == "tiny on ravdess, protocol emobox fold 2, seed 0, step 300, test split"
    assert found.score.replace("\u00a0", " ") == (
        "On the test split of 96 recordings it was right in 50.0 % (95 % interval 41.0 to 59.0 %). With every emotion "
        "counting the same (unweighted average recall): 40.0 % (95 % interval 30.0 to 50.0 %); guessing would give "
        "25.0 %."
    )
    assert found.warnings == []
    assert found.sentences == [
        f"It was trained on {ravdess.SPEECH.voices}.",
        INDEPENDENT,
    ]


def test_voices_that_training_knew_are_a_warning(tmp_path):
    (warning,) = summarise(member(tmp_path, speakers_are_new=False)).warnings
    assert "also in the training data" in warning


def test_artificial_speech_and_leaks_are_warnings(tmp_path):
    stamp = {**STAMP, "corpus": "synthetic"}
    found = summarise(member(tmp_path, stamp, synthetic=True, leaks=["Clip 7 is on both sides."]))
    assert found.warnings[0].startswith("Not human speech.")
    assert found.warnings[1] == "Clip 7 is on both sides."
    assert "artificial voices" in found.sentences[0]


@pytest.mark.parametrize("other", [{"step": 400}, {"protocol": {**IDENTITY, "fold": 3}}])
def test_the_report_of_another_checkpoint_is_not_shown_as_this_one_s(tmp_path, other):
    found = summarise(member(tmp_path, **other))
    assert found.score is None
    assert "not known here" in found.sentences[-1]


def test_a_checkpoint_without_its_run_has_its_protocol_and_no_score(tmp_path):
    summary_of_member = member(tmp_path)
    moved = tmp_path / "moved"
    moved.mkdir()
    shutil.move(tmp_path / "checkpoint", moved)
    found = summarise(
        SimpleNamespace(name="moved", folder=moved / "checkpoint", stamp=summary_of_member.stamp, labels=EMOTIONS)
    )
    assert found.title.endswith("tiny, trained on ravdess under protocol 'emobox'")
    assert found.score is None


def test_of_a_foreign_checkpoint_nothing_is_claimed(tmp_path):
    found = summarise(member(tmp_path, stamp={}))
    assert found.title.endswith("not trained by ser; nothing is known of how well it does")
    assert (found.score, found.warnings, found.sentences) == (None, [], [])
