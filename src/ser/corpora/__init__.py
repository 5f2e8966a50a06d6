"""Corpora: each is one file that knows its facts and yields its recordings."""

from types import ModuleType

from ser.corpora import ravdess, synthetic

# A corpus module has EMOTIONS (the order of the labels), DESCRIPTION (one phrase, printed beside every number),
# SYNTHETIC (True where no human spoke), LICENSE (the hub's name of it; None: no conditions), SOURCE (its address),
# VOICES (who speaks, in one phrase), FORMAT (of its audio) and scan(root) -> Scan.
CORPORA: dict[str, ModuleType] = {"ravdess": ravdess, "synthetic": synthetic}
