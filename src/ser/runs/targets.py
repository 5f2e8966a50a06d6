"""Where the runs of a command are written: decided before anything is touched, and locked.

A run that is to replace an older one (`overwrite=true`) is written into `.new` inside its folder and takes its place
when it is finished. Until then the older one is whole, and `resume=true` goes on with the new one.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ser import config
from ser.errors import UserError
from ser.files import remove
from ser.locks import locked
from ser.runs.folder import RunFolder
from ser.runs.settings import check_same_settings


@dataclass(frozen=True)
class RunTarget:
    """Where a run goes, and where it is written until it is finished: there, or in `.new` inside it."""

    final: RunFolder
    work: RunFolder

    def move_into_place(self) -> None:
        """Move the finished run to where it belongs."""
        if self.work != self.final:
            self.final.replace()


@dataclass(frozen=True)
class RunTargets:
    """The targets of all runs of a command, and of the report on all of them where they are several."""

    runs: Sequence[RunTarget]
    pooled: RunTarget | None = None
    above: RunFolder | None = None
    """Where a report on several runs may lie that is no longer about them as soon as one of them is trained."""

    @property
    def done(self) -> Path:
        """The folder of the command's result."""
        return (self.pooled or self.runs[0]).final.path

    def start_again(self, resume: bool) -> None:
        """Remove unfinished new runs, unless they are to go on."""
        for target in (*self.runs, *([self.pooled] if self.pooled else [])):
            if not resume and target.work != target.final:
                remove(target.work.path)

    def remove_earlier_report(self) -> None:
        if self.above is not None and self.above.is_run():
            self.above.clear()


@contextmanager
def acquire(cfg: config.Train, plan: Sequence[config.Train]) -> Iterator[RunTargets]:
    """Decide where the runs of a command go, and hold the locks of all these folders.

    Raises:
        UserError: another command writes to one of them; runs are there and neither overwrite nor resume was asked
            for; a run to be resumed had other settings; or a folder holds something that is no run.
    """
    folder = RunFolder(Path(cfg.output_dir).expanduser())
    runs = [RunFolder(Path(run.output_dir)) for run in plan]
    if folder.is_replaced():
        with locked(folder.path):
            folder.replace()
    with ExitStack() as stack:
        for held in [folder, *runs] if len(runs) > 1 else runs:
            stack.enter_context(locked(held.path))
            held.replace()
            held.remove_leftovers()
        yield choose_targets(folder, runs, plan)


def choose_targets(folder: RunFolder, runs: Sequence[RunFolder], plan: Sequence[config.Train]) -> RunTargets:
    """Decide without touching anything."""
    if list(runs) == [folder]:
        if (below := folder.below()) and not folder.has_checkpoints():
            raise UserError(
                f"output_dir={folder.path}: runs are below it ({below[0].path.name}); give another output_dir"
            )
        return RunTargets([choose_target(folder, plan[0])])
    if folder.has_checkpoints():
        raise UserError(f"output_dir={folder.path}: a run without folds is here; give another output_dir")
    if len(runs) == 1:
        return RunTargets([choose_target(runs[0], plan[0])], above=folder)
    return choose_pooled_targets(folder, runs, plan)


def choose_target(final: RunFolder, cfg: config.Train) -> RunTarget:
    """Decide for one run.

    Raises:
        UserError: see `acquired`.
    """
    here, inside = RunTarget(final, final), RunTarget(final, final.new)
    if final.is_empty():
        return here
    check_holds_runs(final, final.is_run() or final.new.is_run())
    if cfg.overwrite:
        return inside
    found = inside if final.new.is_run() else here
    if cfg.resume:
        check_same_settings(found.work.path, cfg)
        return found
    raise UserError(f"output_dir={final.path}: {explain_refusal(final)}")


def explain_refusal(folder: RunFolder) -> str:
    """Describe the run that is here, and the key that continues or replaces it."""
    if folder.new.is_run():
        return "an unfinished new run is here beside the earlier one; resume=true goes on with it"
    if folder.is_finished():
        return "a finished run is here; overwrite=true replaces it when the new one is finished"
    return "an unfinished run is here; resume=true goes on with it, overwrite=true starts again"


def choose_pooled_targets(folder: RunFolder, runs: Sequence[RunFolder], plan: Sequence[config.Train]) -> RunTargets:
    """Decide for several runs and the report on all of them.

    Raises:
        UserError: see `acquired`.
    """
    cfg, new = plan[0], [RunFolder(folder.new.path / run.path.name) for run in runs]
    check_holds_runs(folder, folder.is_empty() or folder.is_run() or bool(folder.below() or folder.new.below()))
    for run in runs:
        check_holds_runs(run, run.is_empty() or run.is_run() or run.new.is_run())
    if not folder.is_empty() and (cfg.overwrite or (cfg.resume and folder.new.below())):
        begun = [] if cfg.overwrite else new
        for run, of_run in zip(begun, plan, strict=False):
            if run.is_run():
                check_same_settings(run.path, of_run)
        return RunTargets([RunTarget(run, run) for run in new], RunTarget(folder, folder.new))
    if not cfg.resume and any(not run.is_empty() for run in runs):
        raise UserError(f"output_dir={folder.path}: {explain_pooled_refusal(folder, runs)}")
    targets = [choose_target(run, of_run) for run, of_run in zip(runs, plan, strict=True)]
    return RunTargets(targets, RunTarget(folder, folder), above=folder)


def explain_pooled_refusal(folder: RunFolder, runs: Sequence[RunFolder]) -> str:
    """Describe the runs that are here, and the keys that continue or replace them."""
    finished = sum(run.is_finished() for run in runs)
    if folder.new.below():
        return "unfinished new runs are here beside the earlier ones; resume=true goes on with them"
    if finished == len(runs):
        kept = "" if folder.is_finished() else "resume=true writes the report on all of them, "
        return f"{finished} finished runs are here; {kept}overwrite=true replaces them when the new ones are finished"
    return f"{finished} of {len(runs)} runs are finished here; resume=true keeps them and goes on with the others"


def check_holds_runs(folder: RunFolder, holds: bool) -> None:
    """Raise a UserError where something is here that no run wrote."""
    if folder.path.exists() and not folder.path.is_dir():
        raise UserError(f"output_dir={folder.path}: it is no folder; give another output_dir")
    if not holds:
        raise UserError(f"output_dir={folder.path}: it exists and holds no run; give another output_dir")
