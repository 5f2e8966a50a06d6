import pytest

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
