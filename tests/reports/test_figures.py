from itertools import pairwise
from unittest.mock import patch

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine as Engine

from ser.evaluation import metrics
from ser.evaluation.stress import StressRow
from ser.evaluation.subgroups import Subgroup
from ser.models.outputs import softmax
from ser.reports import figures

LABELS = ["angry", "calm", "sad"]
COUNTS = [[38, 7, 1], [0, 0, 0], [0, 1, 300]]


def texts(axes):
    return [text.get_text() for text in axes.texts]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def speakers(number):
    return [Subgroup(str(index + 1), 60, 0.5, 0.3 + 0.6 * (index * 7 % number) / number) for index in range(number)]


def history(final=0.8):
    empty = {"train_loss": None, "train_accuracy": None, "eval_loss": None, "eval_accuracy": None}
    return [
        {**empty, "step": 10, "train_loss": 2.0, "train_accuracy": 0.2},
        {**empty, "step": 20, "train_loss": 1.0, "train_accuracy": 0.5, "eval_loss": 1.5, "eval_accuracy": 0.4},
        {**empty, "step": 40, "eval_loss": 1.2, "eval_accuracy": final},
    ]


def test_a_cell_has_its_count_and_its_share_of_the_true_emotion():
    axes = figures.confusion_figure(COUNTS, LABELS, "title").axes[0]
    assert texts(axes)[:6] == ["38", "83 %", "7", "15 %", "1", "2 %"]
    assert texts(axes)[-4:] == ["1", "<1 %", "300", ">99 %"]
    assert [label.get_text() for label in axes.get_yticklabels()] == LABELS


def test_a_cell_without_answers_has_no_share():
    axes = figures.confusion_figure(COUNTS, LABELS, "title").axes[0]
    assert texts(axes)[6:10] == ["0", "0", "0", "0"]


def luminance(colour):
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def test_the_numbers_of_a_cell_can_be_read_on_any_shade():
    shades = [[share, 100 - share] for share in range(1, 100)]
    axes = figures.confusion_figure(shades, ["angry", "sad"], "title").axes[0]
    mesh = axes.collections[0]
    grounds = mesh.to_rgba(mesh.get_array()).reshape(-1, 4)
    for ground, text in zip(grounds, axes.texts[::2], strict=True):
        lighter, darker = sorted((luminance(ground[:3]), luminance(text.get_color())), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5


def test_one_run_is_drawn_with_the_step_of_its_checkpoint():
    figure = figures.training_figure([history()], [20], "validation", "title")
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "accuracy"]
    assert legend(figure) == ["training split", "validation split", "selected checkpoint (step 20)"]
    curves = [list(map(list, line.get_data())) for line in figure.axes[1].get_lines()[:2]]
    assert curves == [[[10, 20], [0.2, 0.5]], [[20, 40], [0.4, 0.8]]]


@pytest.mark.parametrize("runs", [1, 2])
@pytest.mark.parametrize("step", [1, 4, 1000])
def test_a_run_of_a_single_evaluation_is_drawn_from_step_0_over_whole_steps_and_its_marker_is_whole(step, runs):
    row = {"step": step, "train_loss": 2.0, "train_accuracy": 0.0, "eval_loss": 2.1, "eval_accuracy": 1.0}
    figure = figures.training_figure([[row]] * runs, [step] * runs, "validation", "title")
    loss, accuracy = figure.axes
    low, high = accuracy.get_xlim()
    assert low == 0
    assert step < high < 1.5 * step
    ticks = accuracy.get_xticks()
    assert [tick for tick in ticks if tick != round(tick)] == []
    assert len([tick for tick in ticks if low <= tick <= high]) > 1
    assert not any(
        line.get_clip_on() for axes in (loss, accuracy) for line in axes.get_lines() if "None" not in line.get_marker()
    )


def test_several_runs_share_one_legend_and_mark_each_checkpoint_on_its_curve():
    figure = figures.training_figure([history(0.8), history(0.7), history(0.6)], [40, 20, 40], "test", "title")
    assert legend(figure) == ["training split", "test split", "selected checkpoint"]
    marks = [line.get_data() for line in figure.axes[1].get_lines() if line.get_label() == "selected checkpoint"]
    assert [(x[0], y[0]) for x, y in marks] == [(40, 0.8), (20, 0.4), (40, 0.6)]
    assert "3 runs" in figure.axes[1].get_xlabel()


def test_a_run_that_was_never_evaluated_is_drawn_without_that_curve():
    rows = [row for row in history() if row["eval_loss"] is None]
    figure = figures.training_figure([rows], [10], "validation", "title")
    assert legend(figure) == ["training split", "selected checkpoint (step 10)"]


@pytest.mark.parametrize(("steps", "marker"), [(60, "o"), (61, "")])
def test_a_curve_of_many_points_is_drawn_without_markers(steps, marker):
    rows = [{**history()[0], "step": step} for step in range(1, steps + 1)]
    training, *_ = figures.training_figure([rows], [10], "validation", "title").axes[0].get_lines()
    assert training.get_marker() == marker


@pytest.mark.parametrize("number", [4, 24])
def test_speakers_are_named_from_the_best_to_the_worst_beside_their_mean(number):
    groups = speakers(number)
    axes = figures.speakers_figure(groups, "title").axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [group.value for group in sorted(groups, key=lambda group: -group.unweighted_average_recall)]
    average = np.mean([group.unweighted_average_recall for group in groups])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [f"mean {100 * average:.1f} %"]
    assert len(texts(axes)) == number


def test_the_names_of_speakers_do_not_overlap():
    figure = figures.speakers_figure(speakers(24), "title")
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert all(upper.y0 >= lower.y1 for upper, lower in pairwise(boxes))


def test_a_single_speaker_has_no_mean():
    axes = figures.speakers_figure(speakers(1), "title").axes[0]
    assert axes.get_legend() is None
    assert texts(axes) == ["30 %"]


def test_too_many_speakers_to_be_named_are_counted():
    figure = figures.speakers_figure(speakers(400), "title")
    assert figure.axes[0].get_ylabel() == "400 speakers"
    assert figure.get_figheight() < 12


def test_the_reliability_diagram_shows_the_clips_of_each_bin_and_the_calibration_error():
    generator = np.random.default_rng(0)
    shares = softmax(generator.normal(size=(200, 3)))
    truth = generator.choice(LABELS, 200)
    bins = metrics.bin_by_confidence(truth, shares, LABELS)
    upper, lower = figures.reliability_figure(bins, "title").axes
    assert texts(lower) == [str(b.clips) for b in bins]
    error = metrics.expected_calibration_error(truth, shares, LABELS)
    assert f"this model (calibration error {error:.3f})" in [text.get_text() for text in upper.get_legend().get_texts()]
    diagonal = upper.get_lines()[0].get_data()
    assert list(map(list, diagonal)) == [[0, 1], [0, 1]]


def test_the_legend_of_the_reliability_diagram_covers_no_curve():
    bins = [metrics.Bin(0.1 * index, 0.1 * index + 0.1, 10, 0.1 * index + 0.05, 1.0) for index in range(10)]
    figure = figures.reliability_figure(bins, "title")
    figure.draw_without_rendering()
    upper = figure.axes[0]
    assert upper.get_legend().get_window_extent().y0 >= upper.get_window_extent().y1 - 1


def stress_rows(clean=0.7):
    rows = [StressRow("clean", clean, clean, clean - 0.05, clean + 0.05, 0.0, 64)]
    return [*rows, StressRow("noise at 0 dB", 0.3, 0.25, 0.2, 0.35, 0.25 - clean, 64)]


def test_each_condition_is_drawn_beside_the_clean_clips_and_chance():
    axes = figures.stress_figure(stress_rows(), 8, "title").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["clean", "noise at 0 dB"]
    assert texts(axes) == ["70 %", "25 %"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["clean 70.0 %", "chance 12.5 %"]
    dots = [line.get_xdata()[0] for line in axes.get_lines() if line.get_marker() == "o"]
    assert dots == [0.7, 0.25]


def test_a_dollar_in_a_name_is_a_dollar(tmp_path):
    names = ["$a", r"$\frac$", "sad"]
    figures.save(figures.confusion_figure(COUNTS, names, r"run $\nonsense{$"), tmp_path / "confusion_matrix")
    groups = [Subgroup(name, 1, 0.5, 0.5) for name in names]
    figures.save(figures.speakers_figure(groups, r"run $\nonsense{$"), tmp_path / "speakers")
    assert (tmp_path / "speakers.pdf").is_file()


def test_a_figure_is_saved_as_a_bitmap_and_as_vectors_with_letters(tmp_path):
    figures.save(figures.speakers_figure(speakers(4), "title"), tmp_path / "speakers.of.fold1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["speakers.of.fold1.pdf", "speakers.of.fold1.png"]
    assert (tmp_path / "speakers.of.fold1.png").read_bytes().startswith(b"\x89PNG")
    vectors = (tmp_path / "speakers.of.fold1.pdf").read_bytes()
    assert b"/CIDFontType2" in vectors
    assert b"/Type3" not in vectors


def test_equal_figures_are_equal_files(tmp_path):
    for name in ("first", "second"):
        figures.save(figures.speakers_figure(speakers(4), "title"), tmp_path / name)
    for suffix in (".png", ".pdf"):
        assert (tmp_path / f"first{suffix}").read_bytes() == (tmp_path / f"second{suffix}").read_bytes()
    assert b"CreationDate" not in (tmp_path / "first.pdf").read_bytes()


def test_a_figure_is_laid_out_once_and_drawn_once_per_file_and_its_bitmap_is_matplotlibs(tmp_path):
    figures.speakers_figure(speakers(4), "a title").savefig(tmp_path / "alone.png", dpi=figures.DOTS)
    with (
        patch.object(Figure, "draw", autospec=True, side_effect=Figure.draw) as draw,
        patch.object(Engine, "execute", autospec=True, side_effect=Engine.execute) as execute,
    ):
        figures.save(figures.speakers_figure(speakers(4), "a title"), tmp_path / "saved")
    assert (draw.call_count, execute.call_count) == (2, 1)
    assert (tmp_path / "saved.png").read_bytes() == (tmp_path / "alone.png").read_bytes()
