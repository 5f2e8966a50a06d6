"""An index of fingerprints: the pairs that are alike among a million clips, without comparing all pairs.

A token is the place of the highest of 32 values of a fingerprint, which are chosen at random, once for all clips. Two
clips share a token with a probability that grows with the correlation of their fingerprints: 9 of 96 tokens on
average where they are no copies, 72 where they are. The index sorts the clips by a dozen of the tokens, as a dictionary
sorts words by their letters, so that clips that share the first of these stand beside one another, and compares all
tokens of neighbours; then again by another dozen. The time grows as that of sorting does.
"""

import numpy as np
import numpy.typing as npt

TOKENS = 96
"""Tokens of a clip, a byte each."""
CHOICES, BITS = 32, 5
"""Values of which a token names one, and the bits that it takes."""
LENGTH = 12
"""Tokens by which clips are sorted at a time: what 64 bits hold."""
ORDERS = 64
"""Times that the clips are sorted, each time by other tokens."""
SHARED = 29
"""Least number of equal tokens of a pair that is worth comparing: 30 %."""
ROWS_AT_A_TIME = 2**13

Tokens = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]


def choose_values(values: int) -> npt.NDArray[np.int64]:
    """Choose the values of a fingerprint that each token compares, `(TOKENS, CHOICES)`, always the same ones."""
    generator = np.random.default_rng(0)
    return np.stack([generator.permutation(values)[:CHOICES] for _ in range(TOKENS)])


def find_neighbours(tokens: Tokens) -> Indices:
    """Find the pairs of clips that share many tokens.

    A pair is found where no other clip comes between them in one of the orders at least. Of many clips that are all
    copies of one another not every pair is found, but each clip with some of the others.

    Args:
        tokens: `(clips, TOKENS)`. Beside them, 24 bytes a clip and 8 a pair are in memory.

    Returns:
        `(pairs, 2)`, the smaller index first, in order.
    """
    generator = np.random.default_rng(1)
    found = np.zeros(0, np.int64)
    for _ in range(ORDERS):
        order = sort_clips(tokens, generator.permutation(TOKENS)[:LENGTH])
        found = np.union1d(found, compare_neighbours(tokens, order))
    return np.stack(np.divmod(found, len(tokens)), axis=1) if len(found) else found.reshape(0, 2)


def sort_clips(tokens: Tokens, columns: npt.NDArray[np.int64]) -> Indices:
    """Return the indices of the clips, sorted by some of their tokens, the first of which counts most."""
    keys = np.zeros(len(tokens), np.uint64)
    for column in columns:
        np.left_shift(keys, BITS, out=keys)
        np.bitwise_or(keys, tokens[:, column], out=keys)
    return np.argsort(keys)


def compare_neighbours(tokens: Tokens, order: Indices) -> Indices:
    """Return the pairs that stand beside one another in an order and share tokens: smaller index * clips + larger."""
    found = [np.zeros(0, np.int64)]
    for start in range(0, len(order) - 1, ROWS_AT_A_TIME):
        clips = order[start : start + ROWS_AT_A_TIME + 1]
        some = tokens[clips]
        alike = np.count_nonzero(some[1:] == some[:-1], axis=1) >= SHARED
        one, other = clips[:-1][alike], clips[1:][alike]
        found.append(np.minimum(one, other) * len(tokens) + np.maximum(one, other))
    return np.concatenate(found)
