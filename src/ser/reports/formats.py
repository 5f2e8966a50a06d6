"""Number formats of reports and of the page of `ser serve`, which imports nothing else for them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ser.evaluation.intervals import ConfidenceInterval


def percent(share: float) -> str:
    r"""Format a share with one decimal and a non-breaking space.

    >>> percent(0.7194)
    '71.9\xa0%'
    """
    return f"{100 * share:.1f}\u00a0%"


def reach(interval: "ConfidenceInterval") -> str:
    r"""Format an interval.

    >>> from ser.evaluation.intervals import ConfidenceInterval
    >>> reach(ConfidenceInterval(0.662, 0.771))
    '66.2 to 77.1\xa0%'
    """
    return f"{100 * interval.low:.1f} to {percent(interval.high)}"


def duration(seconds: float) -> str:
    """Format seconds for a person.

    >>> duration(7.31), duration(994), duration(4000)
    ('7.3 s', '16 min 34 s', '1 h 7 min')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min"


def rate(share: float) -> str:
    """Format a share in whole percent; only an exact 0 or 1 is shown as 0 % or 100 %.

    >>> rate(0.82), rate(0.001), rate(0.999), rate(1.0)
    ('82 %', '<1 %', '>99 %', '100 %')
    """
    if 0 < share < 0.01:
        return "<1 %"
    return ">99 %" if 0.99 < share < 1 else f"{100 * share:.0f} %"
