import io

import pytest
from rich.console import Console

from ser import console


def take_one_and_fail():
    with console.progress([1, 2], "Decoding", total=2) as items:
        for _ in items:
            raise ValueError("no clip")


def test_a_bar_ends_with_an_error_and_the_next_one_is_shown():
    with pytest.raises(ValueError, match="no clip") as kept:
        take_one_and_fail()
    with console.progress([3, 4], "Decoding", total=2) as items:
        assert list(items) == [3, 4]
    assert kept.tb is not None  # as in a sweep, the error and its frames are kept


@pytest.fixture
def lines(monkeypatch):
    """A function that takes items, ten seconds each, and returns the log lines."""
    logged = []

    def take(total, done=0, terminal=False):
        seconds = iter(range(0, 10**6, 10))
        monkeypatch.setattr(console, "clock", lambda: next(seconds))
        monkeypatch.setattr(console, "stderr", Console(file=io.StringIO(), force_terminal=terminal))
        monkeypatch.setattr(console.log, "info", lambda line, *values: logged.append(line % values))
        with console.progress(range(total - done), "Predicting", total, done, "recordings") as items:
            assert list(items) == list(range(total - done))
        return logged

    return take


def test_a_log_without_a_bar_has_a_line_with_the_time_left_every_half_minute(lines):
    assert lines(12) == [
        "3 of 12 recordings, 2 min left",
        "6 of 12 recordings, 1 min left",
        "9 of 12 recordings, 1 min left",
    ]


def test_the_time_left_is_that_of_the_items_which_this_command_takes(lines):
    assert lines(2000, done=1994) == ["1 997 of 2 000 recordings, 1 min left"]


def test_a_terminal_has_a_bar_and_no_lines(lines):
    assert lines(12, terminal=True) == []
