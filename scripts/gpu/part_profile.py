"""Part c: a profile of 20 steps of the large model, and the switches tried one by one."""

import gc
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from benchmark_inputs import MEAN_SECONDS, SHAPES, SMALL_SECONDS, clips_of_our_own, random_checkpoint
from options import Options, given
from steps import WARMUP, Steps, steps
from torch.profiler import ProfilerActivity, profile
from traces import Trace, read

from ser import console
from ser.errors import UserError

NUMBER = {True: 4, False: 20}
"""Steps that are timed, by --small."""


class Switch(NamedTuple):
    """A row of the table: words after `trainer=fast`."""

    name: str
    words: Sequence[str] = ()
    gpu_only: bool = False


def switches(number: int) -> list[Switch]:
    saved = WARMUP + number // 2 + 1  # once, and the steps behind it are slowed by what is written
    saving = (f"trainer.save_steps={saved}", f"trainer.eval_steps={saved}")
    return [
        Switch("`trainer=fast`: bf16, resident, cached CNN, by length, sdpa"),
        Switch("the same again: the noise"),
        Switch("trainer.dataset_on_gpu=false", ["trainer.dataset_on_gpu=false"], gpu_only=True),
        Switch("trainer.cache_features=false", ["trainer.cache_features=false"]),
        Switch("trainer.bucket_by_length=false", ["trainer.bucket_by_length=false"]),
        Switch("batch 16", ["trainer.per_device_train_batch_size=16"]),
        Switch("batch 32", ["trainer.per_device_train_batch_size=32"]),
        Switch("a checkpoint in the background", [*saving, "trainer.background_checkpoints=true"]),
        Switch("a checkpoint that is waited for", [*saving, "trainer.background_checkpoints=false"]),
        Switch("trainer.precision=fp16", ["trainer.precision=fp16"], gpu_only=True),
        Switch("trainer.precision=fp32", ["trainer.precision=fp32"]),
        Switch(
            "trainer.precision=fp32, TF32",
            ["trainer.precision=fp32", "+trainer.extra_training_args.tf32=true"],
            gpu_only=True,
        ),
        Switch("model.encoder_config.layerdrop=0", ["model.encoder_config.layerdrop=0"]),
        # Last: compiling takes long, and what it was for is the row above.
        Switch(
            "model.encoder_config.layerdrop=0, trainer.compile=true",
            ["model.encoder_config.layerdrop=0", "trainer.compile=true"],
        ),
    ]


def main() -> None:
    options, begun = given(), time.monotonic()
    os.environ["SER_STEPS"] = str(options.work)
    console.quiet_transformers()
    words = prepared(options)
    profiled(options, words)
    document = options.document
    number = NUMBER[options.small]
    shape = "tiny" if options.small else "large"
    document.write(f"Each row {number} steps after {WARMUP} to warm up, random weights of the {shape} shape:")
    document.table(
        "after `trainer=fast`", "a step", "clips/s", "against the first", "waited for a checkpoint", "peak memory"
    )
    first, failed = None, []
    for switch in switches(number):
        if switch.gpu_only and options.device == "cpu":
            document.row(switch.name, "needs a GPU", "", "", "", "")
            continue
        if "trainer.compile=true" in switch.words and options.device == "cpu":
            document.row(switch.name, "needs a GPU: a CPU's compiler takes minutes", "", "", "", "")
            continue
        left = 0.9 * options.seconds - (time.monotonic() - begun)
        if left < 0:
            document.row(switch.name, "not measured, the time was over", "", "", "", "")
            continue
        try:
            with limited(left):
                found = steps([*words, *switch.words], number)
        except UserError as error:  # what this version of transformers or this device has not
            document.row(switch.name, f"refused: {error}", "", "", "", "")
            continue
        except Exception as error:  # a row that fails is said in its place, and the others go on
            failed.append(switch.name)
            document.row(switch.name, f"**failed**: {type(error).__name__}: {error}", "", "", "", "")
            traceback.print_exc()
            continue
        first = first or found
        document.row(switch.name, *cells(found, first, options.device))
    document.end()
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Stop a row that takes longer than the time that is left, as compiling may.

    Raises:
        TimeoutError: it took longer.
    """

    def stop(*_: object) -> None:
        raise TimeoutError(f"not done after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def cells(found: Steps, first: Steps, device: str) -> list[str]:
    """Return the cells of a row; on a CPU the peak is that of the process, which every later row has as well."""
    memory = f"{found.memory / 1e9:.2f} GB" if device == "cuda" else "-"
    rate = found.clips / found.seconds
    return [
        f"{1000 * found.seconds:.1f} ms", f"{rate:.0f}", f"{rate / (first.clips / first.seconds):.2f}x",
        f"{found.waited:.2f} s" if found.waited > 0.005 else "-", memory,
    ]  # fmt: skip


def prepared(options: Options) -> list[str]:
    """Clips, weights and cached features: the words of the command line that name them."""
    number, seconds = (96, SMALL_SECONDS) if options.small else (480, MEAN_SECONDS)
    root = clips_of_our_own(options.work / "corpus", number, 16_000, seconds)
    data = options.work / "data"
    command = [sys.executable, "-m", "ser", "prepare-data", "--root", str(root), f"data_dir='{data}'"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(result.stderr)
    shape = "tiny" if options.small else "large"
    weights = random_checkpoint(options.work / "weights", shape)
    model = [f"model={SHAPES[shape][0]}", f"model.pretrained='{weights}'"]
    return ["trainer=fast", *model, f"data_dir='{data}'", "trainer.logging_steps=1000"]


def profiled(options: Options, words: Sequence[str]) -> None:
    """Profile the first row of the table."""
    kind = ProfilerActivity.CUDA if options.device == "cuda" else ProfilerActivity.CPU
    profiler, path, number = profile(activities=[kind]), options.work / "trace.json", NUMBER[options.small]
    steps([*words, "trainer.dataset_on_gpu=true"], 2)  # features are cached, kernels are loaded
    found = steps(words, number, profiler.start, profiler.stop)
    profiler.export_chrome_trace(str(path))
    del profiler
    gc.collect()
    trace = read(path, options.device)
    path.unlink()
    describe(options, trace, number, found)


def describe(options: Options, trace: Trace, number: int, found: Steps) -> None:
    document, what = options.document, "kernels" if options.device == "cuda" else "operators (there is no GPU here)"
    if not trace.launches:
        sys.exit("the profiler has seen nothing")
    waits = ", ".join(f"{name} {duration / 1000 / number:.2f} ms" for name, duration in trace.waits.most_common())
    card = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    document.write(
        f"Profile of {number} steps of `trainer=fast`, {found.clips} clips each ({card}; profiled, a step took "
        f"{1000 * found.seconds:.1f} ms). In {what} {trace.busy / trace.span:.0%} of the time, in gaps between them "
        f"{1 - trace.busy / trace.span:.0%}; {trace.launches / number:.0f} of them a step. Waits of the host, a step "
        f"(the clock's own, one at each end, included): {waits or 'none'}."
    )
    document.table(f"the ten largest {what.split(' ')[0]}", "a step", "share")
    for name, duration in trace.kernels.most_common(10):
        document.row(f"`{name[:90]}`", f"{duration / 1000 / number:.2f} ms", f"{duration / trace.busy:.0%}")
    document.end()


if __name__ == "__main__":
    main()
