"""Folds of the training speakers of a run."""

from dataclasses import replace

from ser.config import Choose, Protocol
from ser.data.groups import check_known, sort_by_speaker, stratify_groups
from ser.data.manifest import natural_key
from ser.data.protocols import Splits
from ser.errors import UserError
from ser.wording import counted


def split_inner_folds(splits: Splits, protocol: Protocol, folds: int) -> list[Splits]:
    """Divide the training split of a run into folds of whole speakers, stratified by emotion.

    Args:
        splits: The splits of the run.
        protocol: Its protocol; the seed draws the folds.
        folds: The number of inner folds.

    Returns:
        For each inner fold, its speakers as the validation split, the others as the training split, and no test split.

    Raises:
        UserError: The training split has fewer speakers than folds, or recordings without a known speaker.
    """
    ordered = sort_by_speaker(splits.train)
    check_known(ordered, "speaker", protocol)
    speakers = sorted(ordered.distinct("speaker"), key=natural_key)
    if len(speakers) < folds:
        raise UserError(
            f"trainer.inner_folds={folds}: the training split has {counted(len(speakers), 'speakers')}; give a smaller "
            "number, or trainer.choose=last"
        )
    inner = []
    for held_out in stratify_groups(ordered, "speaker", protocol, folds):
        chosen = ordered.matches("speaker", held_out)
        inner.append(
            replace(
                splits,
                train=ordered.where(~chosen),
                validation=ordered.where(chosen),
                test=splits.test[:0],
                choose=Choose.best,
            )
        )
    return inner
