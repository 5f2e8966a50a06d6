"""Indexes of faiss on the task of `duplicates.py`: their recall, time and memory. Needs `pip install faiss-cpu`.

    python scripts/duplicates_faiss.py RAVDESS EMODB URDU --clips 100000 --each 200

Binary indexes take the signs of random projections of the fingerprints; pairs that differ in less than 36 % of them are
candidates (a correlation of 0.5 makes 33 %). The others take the fingerprints, and their ten nearest neighbours.
"""

import argparse
from pathlib import Path
from time import process_time
from typing import Any

import faiss
import numpy as np
from duplicates import CANDIDATE, Fingerprints, make_corpus, search

from ser.data.duplicates import VALUES

BITS = 1024
NEIGHBOURS = 10
DIFFERING = 0.36


def draw_signs(prints: Fingerprints, bits: int) -> Any:
    """Return the signs of random projections, packed."""
    projection = np.random.default_rng(0).normal(size=(VALUES, bits)).astype(np.float32)
    blocks = range(0, len(prints), 5000)
    return np.concatenate([np.packbits(prints[at : at + 5000] @ projection > 0, axis=1) for at in blocks])


def search_within(index: Any, prints: Fingerprints) -> tuple[Any, Any]:
    """Return the candidates of a binary index by their distance."""
    signs = draw_signs(prints, index.d)
    index.add(signs)
    limits, _, found = index.range_search(signs, int(DIFFERING * index.d))
    return np.repeat(np.arange(len(signs)), np.diff(limits.astype(np.int64))), found


def search_nearest(index: Any, rows: Any) -> tuple[Any, Any]:
    """Return the nearest neighbours by an index."""
    if not index.is_trained:
        index.train(rows[:: max(1, len(rows) // 50_000)])
    index.add(rows)
    found = index.search(rows, NEIGHBOURS)[1]
    return np.repeat(np.arange(len(rows)), NEIGHBOURS), found.ravel()


def multi_hash(tables: int) -> Any:
    index = faiss.IndexBinaryMultiHash(BITS, tables, 20)
    index.nflip = 2
    return index


def cells(number: int, probed: int) -> Any:
    index = faiss.index_factory(VALUES, f"PCAR256,IVF{number},SQ4", faiss.METRIC_INNER_PRODUCT)
    faiss.extract_index_ivf(index).nprobe = probed
    return index


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--clips", type=int, default=10_000)
    parser.add_argument("--each", type=int, default=50)
    given = parser.parse_args()
    faiss.omp_set_num_threads(1)
    files = sorted(path for folder in given.folders for path in folder.rglob("*.wav"))
    prints, tokens, planted = make_corpus(files, -(-given.clips // len(files)), given.each, keep=True)
    first = len(tokens) - len(planted)
    due = {(copy.original, first + at) for at, copy in enumerate(planted) if copy.correlation > CANDIDATE}
    print(f"recall {len(due & search(tokens)) / len(due):.4f}")
    number = int(4 * len(prints) ** 0.5)
    searches = {
        "IndexBinaryFlat, 256": lambda: search_within(faiss.IndexBinaryFlat(256), prints),
        "IndexBinaryFlat, 1024": lambda: search_within(faiss.IndexBinaryFlat(BITS), prints),
        f"PCAR256,IVF{number},SQ4, 16 cells": lambda: search_nearest(cells(number, 16), prints),
        "IndexBinaryMultiHash, 8 tables": lambda: search_within(multi_hash(8), prints),
        "IndexBinaryHNSW, M=16": lambda: search_nearest(faiss.IndexBinaryHNSW(BITS, 16), draw_signs(prints, BITS)),
    }
    for name, look in searches.items():
        begun = process_time()
        one, other = look()
        seconds = process_time() - begun
        pairs = np.stack([np.minimum(one, other), np.maximum(one, other)], axis=1)[one != other]
        found = set(map(tuple, pairs.tolist()))
        print(f"{name}: recall {len(due & found) / len(due):.4f}, {seconds:.1f} s, {len(found)} candidates", flush=True)


if __name__ == "__main__":
    main()
