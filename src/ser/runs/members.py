"""The checkpoints behind a name: one, those of the folds of a run, and those of its seeds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ser.errors import UserError
from ser.models import checkpoint
from ser.models.file_names import local_path
from ser.models.hub import find_checkpoint
from ser.runs.folder import CHECKPOINT, RunFolder


class Stamped(NamedTuple):
    """The folder of a checkpoint, and its stamp."""

    folder: Path
    stamp: dict[str, Any]


Member = Mapping[int | None, Stamped]
"""The checkpoints of one seed by fold; by None that of a protocol without folds."""


def find_members(given: Sequence[str], split: str) -> dict[str, Member]:
    """Find the checkpoints of runs; a run may have several folds and seeds.

    Args:
        given: run folders or checkpoint folders. Each seed of a run is a member of its own.
        split: the one that is scored.

    Returns:
        By name; all members are about the same scored clips of the same folds.

    Raises:
        UserError: there is no such run, or one is given twice, or they are about other clips.
    """
    members: dict[str, Member] = {}
    for one in given:
        members.update(find_seeds(one))
    (first, of_first), *others = members.items()
    seen: dict[Path, str] = {}
    for name, member in members.items():
        for stamped in member.values():
            if (other := seen.setdefault(stamped.folder.resolve(), name)) != name:
                raise UserError(f"checkpoint={name}: {stamped.folder} belongs to {other} as well; give each once")
    for name, member in others:
        check_same_clips(name, member, first, of_first, split)
    return members


def find_seeds(given: str) -> dict[str, Member]:
    """Return the checkpoints of a run by seed, each by fold."""
    below = [run.path / CHECKPOINT for run in RunFolder(local_path(given)).below()]
    folders = below if is_pooled(given) else [find_checkpoint(given)]
    if not folders:
        raise UserError(f"checkpoint={given}: its runs are gone, and only the report on them is here")
    found = [Stamped(folder, checkpoint.stamp_of(folder)) for folder in folders]
    seeds = sorted({one.stamp["seed"] for one in found})
    return {
        f"{given} (seed {seed})" if len(seeds) > 1 else given: {
            one.stamp["identity"]["fold"]: one for one in found if one.stamp["seed"] == seed
        }
        for seed in seeds
    }


def is_pooled(given: str) -> bool:
    """Return whether a folder is the finished report on the runs below it, those of folds and seeds."""
    run = RunFolder(local_path(given))
    return run.is_run() and run.is_finished() and not (run.path / CHECKPOINT).is_dir()


def check_same_clips(name: str, member: Member, first: str, of_first: Member, split: str) -> None:
    """Raise a UserError where a member of an ensemble is not about the clips of the first one.

    The scored split of a member and its training split have no clip in common. So where the scored splits are equal, no
    member was trained on a scored clip.
    """
    if set(member) != set(of_first):
        folds = [", ".join(map(str, sorted(one, key=str))) for one in (member, of_first)]
        raise UserError(f"checkpoint={name}: it has the folds {folds[0]}, and {first} has {folds[1]}; give the same")
    for fold, stamped in member.items():
        for what, ours, theirs in differences(stamped.stamp, of_first[fold].stamp, split):
            where = "" if fold is None else f" (fold {fold})"
            raise UserError(
                f"checkpoint={name}{where}: its {what} is {ours}, that of {first} is {theirs}; members of an ensemble "
                "need the same scored clips, on which none of them was trained"
            )


def differences(ours: dict[str, Any], theirs: dict[str, Any], split: str) -> list[tuple[str, str, str]]:
    """Return what two stamps name differently, with both values."""
    values = {
        "corpus": [stamp["corpus"] for stamp in (ours, theirs)],
        "protocol": [stamp["identity"]["name"] for stamp in (ours, theirs)],
        f"{split} split": [f"sha256 {stamp['identity'][f'{split}_sha256'][:12]}..." for stamp in (ours, theirs)],
    }
    return [(what, one, other) for what, (one, other) in values.items() if one != other]
