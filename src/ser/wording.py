"""Counts in words, as messages and reports write them."""

import re

PLURAL = re.compile(r"\b(copies|corpora|pipes, sockets or devices|[a-z]{3,}s)\b")
"""The first word of a phrase that ends in s is taken for its noun."""
IRREGULAR = {"copies": "copy", "corpora": "corpus", "pipes, sockets or devices": "pipe, socket or device"}
VERBS = {"are": "is", "contradict": "contradicts", "lead": "leads", "repeat": "repeats"}
"""What `that` may be followed by where it means the noun."""
CLAUSE = re.compile(rf"\bthat ({'|'.join(VERBS)})\b")


def counted(number: int, things: str) -> str:
    """Return a number and what it counts, which is given in the plural; in the singular where there is one.

    >>> counted(4, "speakers"), counted(1, "known speakers"), counted(1, "test corpora")
    ('4 speakers', '1 known speaker', '1 test corpus')
    >>> counted(1, "files that are not there"), counted(1, "rows that contradict an earlier one")
    ('1 file that is not there', '1 row that contradicts an earlier one')
    """
    if number != 1:
        return f"{number} {things}"
    noun = PLURAL.sub(lambda found: IRREGULAR.get(found[1], found[1][:-1]), things, count=1)
    return f"1 {CLAUSE.sub(lambda found: f'that {VERBS[found[1]]}', noun, count=1)}"
