"""The names of RAVDESS and the protocols that divide them."""

from dataclasses import replace
from functools import cache

from conftest import composed

from ser.corpora import ravdess
from ser.data.groups import resolve_protocol
from ser.data.manifest import Utterance
from ser.data.protocols import list_folds, split_corpus


@cache
def whole_corpus(layout="Actor_{actor}/{name}.wav"):
    """The 1440 names of RAVDESS."""
    rows = []
    for actor in range(1, 25):
        for emotion in range(1, 9):
            for intensity in ("01", "02") if emotion > 1 else ("01",):
                for statement in ("01", "02"):
                    for repetition in ("01", "02"):
                        name = f"03-01-{emotion:02d}-{intensity}-{statement}-{repetition}-{actor:02d}"
                        path = layout.format(actor=f"{actor:02d}", name=name)
                        rows.append(Utterance(**vars(ravdess.recording(path))))
    return rows


def paper():
    return composed("train", "protocol=paper").protocol


def emobox(fold):
    return composed("train", "protocol=emobox", f"protocol.fold={fold}").protocol


def every_fold(name, *overrides):
    """The protocol of each fold, and its lists."""
    rows = sectioned_corpus()
    whole = resolve_protocol(rows, composed("train", f"protocol={name}", *overrides).protocol)
    return [(one, split_corpus(rows, one)) for one in (replace(whole, fold=fold) for fold in list_folds(whole))]


@cache
def sectioned_corpus():
    """The 1440 names of RAVDESS, with sessions of four speakers, two corpora and a split that others have."""
    parts = ["train", "train", "train", "train", "validation", "test"]
    return [
        replace(row, session=str(place), corpus="one" if place < 3 else "two", split=parts[place])
        for row in whole_corpus()
        for place in [(int(row.speaker) - 1) // 4]
    ]
