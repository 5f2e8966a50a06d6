"""The `ser` command: takes the subcommand off the command line and runs its Hydra app.

Nothing heavy is imported here: Ctrl-C ends a command in one line while its imports go on as well.
"""

import os
import sys

from ser import ending, error_line
from ser.garbage import keep_imported

COMMANDS = {
    "prepare-data": "List, check and cache the recordings of a corpus: ser prepare-data --root RAVDESS",
    "train": "Fine-tune an encoder: ser train model=hubert_large",
    "cross-corpus": "Train on each corpus, test on each: ser cross-corpus corpus.parts=[ravdess,emodb]",
    "evaluate": "Score a checkpoint: ser evaluate checkpoint=runs/...",
    "compare": "Compare runs: ser compare runs=runs/*",
    "predict": "Predict recordings: ser predict checkpoint=runs/... --audio FILE|FOLDER",
    "adapt": "Adapt a checkpoint to a few recordings of one voice: ser adapt checkpoint=runs/... --audio FOLDER",
    "serve": "Predict on a web page and over HTTP: ser serve checkpoint=runs/...",
    "export": "Export a checkpoint to ONNX: ser export checkpoint=runs/...",
    "push": "Push a finished run to the hub: ser push checkpoint=runs/... repo=USER/NAME",
}

HELP = {"--help", "-h"}
VERSION = {"--version", "-V"}
GO_ON = ("train", "cross-corpus")
"""Commands that a scheduler gives again after it has stopped them: with `resume=auto` they go on."""


def main() -> None:
    """Run the command of the command line; a failure is one line."""
    name, *words = sys.argv[1:] or ["--help"]
    with ending.in_one_line(terminated=ending.GIVE_AGAIN if name in GO_ON else ending.INTERRUPTED):
        if name in HELP:
            print(usage())
        elif name in VERSION:
            from importlib.metadata import version

            print(f"ser {version('ser-finetune')}")
        elif name == "-sc":
            complete()
        elif name in COMMANDS:
            run(name, words)
        else:
            from ser.errors import suggest

            near = suggest(name.replace("_", "-"), COMMANDS, "`ser {}`")
            error_line.say(f"no command {name!r}{near}; choices: {', '.join(COMMANDS)}")
            sys.exit(1)


def run(command: str, words: list[str]) -> None:
    os.environ["HYDRA_FULL_ERROR"] = "1"  # without it Hydra prints a page and exits before we see the error
    os.environ["MPLBACKEND"] = "agg"  # figures are files; a notebook names a backend that may not be installed here
    # Read when PyTorch loads OpenMP. By default its threads spin for milliseconds while they wait for one another, and
    # take that time from other programs and from one another: beside one of them on two cores a step of a small
    # network takes four times as long as alone, and with a short spin less than twice.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    with keep_imported():
        from ser import apps

    if HELP & set(words):
        print(apps.help_text(command, COMMANDS[command], [word for word in words if word not in HELP]))
    else:
        apps.run(command.replace("-", "_"), words)


def usage() -> str:
    lines = [f"  {name:<14}{summary}" for name, summary in COMMANDS.items()]
    return "\n".join(["usage: ser <command> [key=value ...] [--help [KEY]] [--cfg job] [--multirun]", "", *lines])


def complete() -> None:
    """Complete for the shell's TAB: first the names of the commands, then the keys that Hydra knows."""
    if "COMP_LINE" not in os.environ:  # `ser -sc install=bash`
        return run("train", sys.argv[1:])
    program, *words = os.environ["COMP_LINE"].split(" ")
    if len(words) < 2 or words[0] not in COMMANDS:
        print(*COMMANDS)
        return None
    from ser import apps, completion
    from ser.config.old_keys import current_word
    from ser.config.paths import path_keys

    command, *typed = words
    schema = apps.SCHEMAS[command.replace("-", "_")]
    paths = path_keys(schema)
    typed[:-1] = [current_word(word, schema) for word in typed[:-1]]
    if (completions := completion.complete_path(typed, paths)) is not None:
        print(*completions)
        return None
    os.environ["COMP_LINE"] = " ".join([program, *completion.without_paths(typed, paths)])
    return run(command, sys.argv[1:])
