"""The jobs of a sweep that a launcher of Hydra runs elsewhere: other processes, SLURM, the machines of a Ray cluster.

Each job is a `ser` command of its own, in a process of its own: what kills it ends neither the worker that started it
nor the other jobs. Its output and its status are files in a folder that the jobs and the launching process share.
"""

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from ser import error_line
from ser.command_line import literal
from ser.errors import Interrupted, UserError, explain
from ser.extras import check_installed
from ser.files import write_json

BASIC = "basic"
"""Hydra's own launcher: one job after the other, in this process."""
EXTRAS = {
    "joblib": ("joblib", "hydra_plugins.hydra_joblib_launcher"),
    "submitit_local": ("slurm", "hydra_plugins.hydra_submitit_launcher"),
    "submitit_slurm": ("slurm", "hydra_plugins.hydra_submitit_launcher"),
    "ray": ("ray", "hydra_plugins.hydra_ray_launcher"),
}
"""The extra that installs a launcher, and its package."""
FOLDER = Path("runs", ".multirun")
"""Hidden from `ser compare runs=runs/*`."""
OF_ONE_RUN = {"protocol.fold", "only_seed"}
"""Keys whose jobs are parts of one command, with one report on all of them."""
GOES_ON = {"resume", "overwrite"}
GPUS = Path("/proc/driver/nvidia/gpus")
WITHOUT_JOBS = ("--cfg", "-c", "--info", "--run", "-r", "--help")


def chosen_launcher(words: Sequence[str]) -> str:
    """Return the launcher of a command line.

    Raises:
        UserError: It has no sweep, or the extra of the launcher is not installed.
    """
    given = [word.partition("=")[2] for word in words if word.lstrip("+").startswith("hydra/launcher=")]
    name = given[-1] if given else BASIC
    if name == BASIC or any(word.split("=")[0] in WITHOUT_JOBS for word in words):
        return BASIC
    if not {"--multirun", "-m"} & set(words):
        raise UserError(f"hydra/launcher={name}: it runs the jobs of a sweep; give --multirun as well")
    if name in EXTRAS:
        extra, package = EXTRAS[name]
        check_installed(extra, package, needed_by=f"hydra/launcher={name}")
    return name


@dataclass
class Sweep:
    """The jobs of a command, in the order of their numbers; it is sent to the workers."""

    launcher: str
    stage: str
    folder: Path
    jobs: list[str]
    """The swept overrides of each job."""
    command: str
    """The command that writes the report on all jobs; empty where they are not parts of one run."""
    tracebacks: bool = field(default_factory=lambda: error_line.TRACEBACK_WANTED)

    def log(self, number: int) -> Path:
        return self.folder / f"{number}.log"

    def status(self, number: int) -> Path:
        return self.folder / f"{number}.json"

    def words(self) -> list[str]:
        """Return what Hydra's command line needs in addition."""
        words = [f"hydra.sweep.dir={literal(str(self.folder))}"]
        if self.launcher == "joblib" and not any(word.startswith("hydra.launcher.n_jobs=") for word in sys.argv):
            words.append(f"hydra.launcher.n_jobs={min(len(self.jobs), len(find_gpus()) or os.cpu_count() or 1)}")
        return words

    def run_job(self, number: int, overrides: Sequence[str], cwd: str) -> None:
        """Run a job in a process of its own, and write its status; on a worker."""
        command = [sys.executable, "-m", "ser", self.stage.replace("_", "-"), *overrides]
        if self.stage in ("train", "cross_corpus") and not GOES_ON & {word.partition("=")[0] for word in overrides}:
            command.append("resume=auto")  # a job that its scheduler starts again repeats its command
        environment = dict(os.environ)
        if not self.tracebacks:
            environment.pop("HYDRA_FULL_ERROR", None)
        with ExitStack() as stack:
            if self.launcher == "joblib" and (gpus := find_gpus()):
                environment["CUDA_VISIBLE_DEVICES"] = stack.enter_context(held_gpu(self.folder, gpus))
            output = stack.enter_context(self.log(number).open("ab"))
            output.write(f"$ {shlex.join(command)}\n".encode())
            output.flush()
            status = run_process(command, cwd=cwd, env=environment, stdout=output, stderr=output)
        write_json(self.status(number), {"status": status})

    def read_status(self, number: int) -> int | None:
        """Return the status of a job; None where it did not end by itself."""
        with suppress(FileNotFoundError):
            return int(json.loads(self.status(number).read_text())["status"])
        return None

    def explain_failure(self, number: int, status: int | None) -> str:
        """Return the line that a failed job printed last, or how it ended."""
        log = self.log(number)
        if status is None:
            how = "it did not end, or the process that waits for it was killed" if log.exists() else "it did not start"
        elif status < 0:
            how = f"killed by signal {-status}"
        else:
            lines = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("ser: ")]
            how = lines[-1].removeprefix("ser: ") if lines else f"status {status}"
        return f"{self.jobs[number]}: {how}; its output: {log}"

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Say where the output of the jobs is; afterwards, which jobs failed.

        Raises:
            UserError: Jobs failed, or the launcher did.
            Interrupted: Ctrl-C or SIGTERM.
        """
        last = len(self.jobs) - 1
        error_line.say(f"{len(self.jobs)} jobs by {self.launcher}; their output: {self.log(0)} to {last}.log")
        fault = ""
        try:
            with open_cluster(self.launcher):
                yield
        except KeyboardInterrupt as interruption:
            raise Interrupted(self.explain_interruption()) from interruption
        except UserError:
            raise
        except Exception as error:  # packages of launchers raise all kinds, where a worker or a scheduler fails
            if not is_from_launcher(error):
                raise
            fault = f"hydra/launcher={self.launcher}: {explain(error)[:300]}; "
        self.report(fault)

    def explain_interruption(self) -> str:
        fate = "its jobs were killed" if self.launcher == "joblib" else "jobs that were submitted may go on"
        return f"interrupted; {fate}; the same command goes on from their last checkpoints; their output: {self.folder}"

    def report(self, fault: str) -> None:
        """Print a line for each failed job, and the command for the report on all of them."""
        ended = {number: self.read_status(number) for number in range(len(self.jobs))}
        failed = [number for number, status in ended.items() if status != 0]
        for number in failed:
            error_line.say(self.explain_failure(number, ended[number]))
        if failed or fault:
            names = "; ".join(self.jobs[number] for number in failed)
            again = " The same command runs them again." if self.stage == "train" and not fault else ""
            raise UserError(f"{fault}{len(failed)} of {len(self.jobs)} jobs failed: {names}.{again}")
        if self.command:
            print(f"The report on all folds and seeds, after training any that is not there yet: {self.command}")


def plan_jobs(launcher: str, stage: str, words: Sequence[str], typed: Sequence[str]) -> Sweep:
    """List the jobs of a command, and make the folder that they share.

    Args:
        launcher: The launcher.
        stage: The command.
        words: Its words, in Hydra's grammar.
        typed: The same as they were typed.
    """
    overrides = [word for word in words if not word.startswith("-")]
    parsed = OverridesParser.create().parse_overrides(overrides)
    keys = {override.get_key_element() for override in parsed if override.is_sweep_override()}
    (batch,) = BasicSweeper.split_arguments(parsed, max_batch_size=None)
    jobs = [" ".join(word for word in job if word.partition("=")[0] in keys) for job in batch]
    folder = make_folder(words)
    if launcher.startswith("submitit"):
        # One signal for `ser` and submitit: the run saves a checkpoint, and submitit requeues the job.
        os.environ.setdefault("SUBMITIT_PREEMPT_SIGNAL", "USR1")
    return Sweep(launcher, stage, folder, jobs, joint_command(stage, typed, keys))


def make_folder(words: Sequence[str]) -> Path:
    """Make the folder of `hydra.sweep.dir`, or a new one below `runs/`."""
    given = [word.partition("=")[2].strip("'\"") for word in words if word.startswith("hydra.sweep.dir=")]
    if given:
        folder = Path(given[-1]).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        return folder.resolve()
    FOLDER.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=time.strftime("%Y-%m-%d-%H%M%S-"), dir=FOLDER)).resolve()


def joint_command(stage: str, typed: Sequence[str], keys: set[str]) -> str:
    """Return the command that writes the report on the jobs of one run; empty where they are several runs."""
    if stage != "train" or not keys <= OF_ONE_RUN:
        return ""
    left = [word for word in typed if not word.startswith(("--multirun", "-m", "hydra"))]
    left = [word for word in left if word.partition("=")[0] not in keys | GOES_ON]
    # An experiment may choose a fold, so that leaving the key out is not enough.
    return shlex.join(["ser", stage, *left, *(f"{key}=null" for key in sorted(keys)), "resume=true"])


@contextmanager
def open_cluster(launcher: str) -> Iterator[None]:
    """Connect to the Ray cluster, as `engine=ray` does; other launchers need nothing before."""
    if launcher != "ray":
        yield
        return
    from ser.data.ray_engine import connected

    with connected():
        yield


def count_gpus_of_ray_job() -> int:
    """Return 1 where the connected Ray cluster has GPUs."""
    from ser.data.ray_engine import find_resources

    return find_resources(1).get("num_gpus", 0)


def is_from_launcher(error: Exception) -> bool:
    """Return whether an error was raised by the package of a launcher, or by what it starts."""
    package = type(error).__module__.partition(".")[0]
    return package in ("submitit", "joblib", "ray") or isinstance(
        error, (OSError, RuntimeError, subprocess.SubprocessError)
    )


def run_process(command: Sequence[str], **options: Any) -> int:
    """Run a process and return its status; it is ended by SIGTERM where this process is."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, **options) as process:
        try:
            return process.wait()
        finally:
            if process.poll() is None:
                process.terminate()


def find_gpus() -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name.strip()]
    return [str(number) for number, _ in enumerate(GPUS.glob("*"))]


@contextmanager
def held_gpu(folder: Path, gpus: Sequence[str]) -> Iterator[str]:
    """Wait for a GPU that no other job of the sweep holds."""
    while True:
        for place, name in enumerate(gpus):
            with suppress(Timeout), FileLock(folder / f"gpu{place}.lock", timeout=0):
                yield name
                return
        time.sleep(1)
