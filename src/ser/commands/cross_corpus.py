"""ser cross-corpus corpus.parts=[ravdess,emodb,urdu]"""  # noqa: D415

from ser.experiments.cross_corpus import cross_corpus

__all__ = ["cross_corpus"]
