"""Numbers of a comparison as text."""


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def p_value(probability: float) -> str:
    """Format a p-value; it is never 0.

    >>> p_value(0.0123), p_value(0.0002)
    ('0.012', '< 0.001')
    """
    return f"{probability:.3f}" if probability >= 0.001 else "< 0.001"


def size(number: int) -> str:
    """Format bytes as the paper does.

    >>> size(380_000_000), size(1_270_000_000)
    ('380 MB', '1.27 GB')
    """
    return f"{number / 1e9:.2f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"


def duration(seconds: float) -> str:
    """Format seconds as minutes and seconds.

    >>> duration(994)
    '16 min 34 s'
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
