import base64
import io
import re
import shutil
from dataclasses import replace
from html import unescape

import numpy as np
import pytest
import soundfile
from helpers.toy_pages import HOSTILE, PROVENANCE, USED, answers, error_recordings, write_full, write_hostile

from ser.corpora.ravdess import EMOTIONS
from ser.data.manifest import Utterance
from ser.evaluation import metrics
from ser.evaluation.confident_errors import rank_errors_by_confidence
from ser.reports import html_report, report

PICTURES = ("confusion_matrix.png", "speakers.png", "reliability.png", "training_graph.png")


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    folder = tmp_path_factory.mktemp("full")
    measured = write_full(folder)
    return folder / "report.html", (folder / "report.html").read_text(encoding="utf-8"), measured


@pytest.fixture
def written(full, tmp_path):
    """Writes a page beside pictures that are drawn already, which is what takes long."""

    def write(scored=None, provenance=PROVENANCE, used=USED, pictures=PICTURES, recordings=()):
        for name in pictures:
            shutil.copy(full[0].parent / name, tmp_path)
        html_report.write(tmp_path, report.build_report(scored or answers(), provenance), used, recordings)
        return (tmp_path / "report.html").read_text(encoding="utf-8")

    return write


def words(html):
    """What a reader sees, in one line."""
    body = html[html.index("<body>") :]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())


def test_the_headline_has_both_numbers_with_their_intervals_and_what_they_are_about(full):
    _, html, measured = full
    headline = words("<body>" + html[html.index("<h1>") : html.index("<nav")])
    for name in ("unweighted_average_recall", "accuracy"):
        low, high = measured.intervals[name]
        assert f"{100 * measured.metrics[name]:.1f} % 95 % interval {100 * low:.1f} to {100 * high:.1f} %" in headline
    assert "Speaker-independent: no test speaker occurs in the training split." in headline
    assert "resample the 24 test speakers as wholes" in headline
    assert "chance is 12.5 %" in headline


def test_where_speakers_are_known_the_page_names_clips_as_resampled(written):
    html = written(provenance=replace(PROVENANCE, speaker_independent=False))
    assert "resample the 384 test clips" in words(html)
    assert "not other speakers" in words(html)


def test_a_single_speaker_gives_no_information_about_others(written):
    html = written(answers(speakers=1))
    assert "only one test speaker" in words(html)
    assert "95 % interval 0.0 to 100.0 %" in words(html)


def test_what_stands_on_both_sides_is_a_warning(full, written):
    assert "Warning" in words(full[1])
    assert "Clip 7 is on both sides." in words(full[1][: full[1].index("<nav")])
    assert "Warning" not in words(written())


def test_only_a_synthetic_number_has_a_notice(full, written):
    made = replace(PROVENANCE, synthetic=True, description="SYNTHETIC corpus")
    assert "Not human speech. SYNTHETIC corpus." in words(written(provenance=made))
    assert "Not human speech" not in words(full[1])


def test_folds_and_seeds_have_mean_and_deviation_and_a_row_for_each_run(full, written):
    text = words(full[1])
    assert "metric over 6 folds over 2 seeds Unweighted average recall 52.0 ± 3.7 % 52.0 ± 7.1 %" in text
    assert "fold seed clips step accuracy UAR time 1 0 64 300 50.0 % 42.0 % 1 min 1 s 1 1 64 300 50.0 % 52.0 %" in text
    assert "The 12 runs" in text
    assert 'id="runs"' not in written()


def test_each_picture_is_described_in_words(full):
    _, html, measured = full
    alternatives = [unescape(text) for text in re.findall(r'<img [^>]*alt="([^"]*)"', html)]
    confusion, training, speakers, reliability = alternatives
    counts = metrics.confusion_matrix(measured.predictions.truth, measured.predictions.labels, EMOTIONS)
    mistake = max(counts[row][column] for row in range(8) for column in range(8) if row != column)
    assert f"{mistake} times" in confusion
    assert "step 300" in training
    assert "24 speakers" in speakers
    assert "over-confident" in reliability or "under-confident" in reliability


def test_without_training_there_is_no_graph_of_it(full, written):
    html = written(pictures=PICTURES[:3])
    assert html.count("<img ") == 3
    assert 'id="training"' not in html
    assert full[1].count("<img ") == 4


def test_tables_hold_what_the_pictures_show(full):
    _, html, measured = full
    text = words(html)
    for speaker in ("1", "24"):
        pairs = [
            row.emotion == answer
            for row, answer in zip(measured.predictions.utterances, measured.predictions.labels, strict=True)
            if row.speaker == speaker
        ]
        assert f"{speaker} 16 {100 * np.mean(pairs):.1f} %" in text
    assert "By gender" in text
    assert "By intensity" in text
    assert "By statement" in text
    counts = metrics.confusion_matrix(measured.predictions.truth, measured.predictions.labels, EMOTIONS)
    assert " ".join(["angry", *map(str, counts[0]), "48"]) in text


def test_the_numbers_of_the_probabilities_are_explained(full):
    text = words(full[1])
    for name in ("cross_entropy", "expected_calibration_error", "brier_score"):
        assert f"{metrics.PROBABILITY_METRICS[name].label} {full[2].metrics[name]:.3f}" in text
    assert "2.079 is that of uniform probabilities" in text
    assert "0.875 is that of uniform probabilities" in text


def test_the_page_has_its_command_and_environment(full):
    text = words(full[1])
    assert "ser train model=tiny 'seed=[0,1]'" in text
    assert "Time 16 min 34 s" in text
    assert "GPU H100, CUDA 12.8" in text
    assert "ser 0.1.0" in text
    assert "macro f1" in text  # the classification report
    assert '"test_sha256": "ab12"' in text


def test_what_training_took_is_there_where_it_is_known(written):
    effort = {"seconds": 120.0, "seconds_to_step": 61.0, "clips_per_second": 12.5}
    used = {**USED, "training": effort, "parameters": {"all": 2000, "trained": 1000}, "checkpoint_bytes": 8_000_000}
    text = words(written(used=used))
    assert "1 min 1 s to the selected checkpoint, 2 min 0 s in all, 12.5 clips a second" in text
    assert "2,000, 1,000 of them trained" in text
    assert "8.0 MB" in text


def test_an_evaluation_need_not_know_its_time(written):
    used = {**{key: value for key, value in USED.items() if key != "seconds"}, "gpu": [], "cuda": None}
    text = words(written(used=used))
    assert " Time " not in text
    assert " GPU " not in text


def test_the_players_hold_the_recordings_as_they_are_under_the_licence_of_the_corpus(full):
    _, html, measured = full
    sources = re.findall(r'<audio [^>]*src="data:audio/flac;base64,([^"]*)"', html)
    assert len(sources) == 8
    for source, error in zip(sources, error_recordings(measured.predictions), strict=True):
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(source)), dtype="int16")
        assert rate == 16000
        assert np.array_equal(samples, error.samples)
    assert "under the licence of the corpus: RAVDESS, speech part (CC BY-NC-SA 4.0)." in words(html)
    first = error_recordings(measured.predictions)[0]
    line = f"{first.utterance.emotion} predicted as {first.prediction} {100 * first.probability:.1f} %"
    assert f"{line} {first.utterance.path}" in words(html)


def test_without_recordings_there_are_no_players(written):
    html = written()
    assert "<audio" not in html
    assert "licence" not in html


def test_errors_are_sorted_by_confidence():
    rows = [Utterance(path=f"{number}.wav", emotion="sad", speaker="1") for number in range(4)]
    shares = np.array([[0.6, 0.4], [0.9, 0.1], [0.01, 0.99], [0.7, 0.3]])
    scored = report.SplitPredictions(rows, ["calm", "sad"], shares)
    assert rank_errors_by_confidence(scored) == [1, 3, 0]
    assert rank_errors_by_confidence(scored, count=2) == [1, 3]


def test_a_clip_that_several_models_get_wrong_is_listed_once():
    rows = [Utterance(path=f"{number}.wav", emotion="sad", speaker="1") for number in (0, 0, 1)]
    scored = report.SplitPredictions(rows, ["calm", "sad"], np.array([[0.6, 0.4], [0.8, 0.2], [0.7, 0.3]]))
    assert rank_errors_by_confidence(scored) == [1, 2]


def test_a_perfect_split_has_a_page_too(written):
    rows = answers().utterances
    scored = report.SplitPredictions(rows, EMOTIONS, metrics.one_hot([row.emotion for row in rows], EMOTIONS))
    text = words(written(scored, recordings=error_recordings(scored)))
    assert "No prediction is wrong." in text
    assert "100.0 %" in text


def test_names_and_descriptions_stay_text(tmp_path):
    write_hostile(tmp_path)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script" not in html
    assert "<b>sad" not in html
    assert html.count("<img ") == 3
    assert HOSTILE not in html
    assert HOSTILE.replace('"', "&#34;").replace("'", "&#39;").replace("<", "&lt;").replace(">", "&gt;") in html


def test_the_page_forbids_itself_to_load_or_run_anything(full):
    assert "default-src &#39;none&#39;" in full[1] or "default-src 'none'" in full[1]
    assert "://" not in full[1]
