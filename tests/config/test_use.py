import pytest
from conftest import composed

from ser.errors import UserError


@pytest.mark.parametrize(
    ("command", "words", "message"),
    [
        ("serve", "port=70000", "port=70000: it must be at least 0 and at most 65535"),
        ("serve", "queue=0", "queue=0: it must be at least 1"),
        ("serve", "timeout=nan", "timeout=nan: it must be above 0"),
        ("serve", "max_megabytes=inf", "max_megabytes=inf: it must be above 0"),
        ("serve", "max_seconds=-1", "it must be above 0"),
        ("serve", "batch_size=0", "it must be at least 1"),
        ("serve", "window=0", "it must be at least 0.1"),
        ("serve", "window=40", "it must lie between 0.1 and max_seconds=30 seconds"),
        ("serve", "hop=0.5", "it must lie between a quarter of window=4"),
        ("serve", "hop=nan", "it must be above 0"),
        ("predict", "audio=x batch_size=-2", "it must be at least 1"),
        ("predict", "audio=x window=inf", "it must be at least 0.1"),
        ("evaluate", "batch_size=0", "it must be at least 1"),
        ("export", "batch_size=0", "it must be at least 1"),
    ],
)
def test_a_number_outside_of_its_range_is_refused(command, words, message):
    with pytest.raises(UserError, match=message):
        composed(command, "checkpoint=x", *words.split())


def test_a_comparison_of_nothing_is_refused():
    with pytest.raises(UserError, match=r"runs=\[\]: give at least one run"):
        composed("compare", "runs=[]")
