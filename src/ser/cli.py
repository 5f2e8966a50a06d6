"""The `ser` command: takes the subcommand off the command line and runs its Hydra app.

Nothing heavy is imported here: Ctrl-C ends a command in one line while its imports go on as well.
"""

import argparse
import os
import re
import sys

from ser import ending

FLAGS = ("root", "audio")
"""Keys whose value is a path of the user's own, with whatever it has in its name."""

COMMANDS = {
    "prepare-data": "List, check and cache the recordings of a corpus: ser prepare-data --root RAVDESS",
    "train": "Fine-tune an encoder: ser train model=hubert_large",
    "evaluate": "Score a checkpoint: ser evaluate checkpoint=runs/...",
    "compare": "Put runs side by side: ser compare runs=runs/*",
    "predict": "Label recordings: ser predict checkpoint=runs/... --audio FILE|FOLDER",
    "serve": "Answer on a web page and to programs: ser serve checkpoint=runs/...",
    "export": "Make an ONNX model of a checkpoint: ser export checkpoint=runs/...",
    "push": "Send a finished run to the hub: ser push checkpoint=runs/... repo=USER/NAME",
}


def main() -> None:
    """Run what the command line says, and end in one line where that fails."""
    with ending.in_one_line():
        name, *arguments = sys.argv[1:] or ["--help"]
        if name in ("-h", "--help"):
            print(usage())
        elif name == "-sc":
            complete()
        elif name in COMMANDS:
            sys.argv[1:] = flags_to_overrides(arguments)
            run(name)
        else:
            sys.exit(f"ser: no command '{name}'\n\n{usage()}")


def run(command: str) -> None:
    os.environ["HYDRA_FULL_ERROR"] = "1"  # without it Hydra prints a page and exits before we see the error
    from ser import apps

    apps.run(command.replace("-", "_"))


def usage() -> str:
    lines = [f"  {name:<14}{summary}" for name, summary in COMMANDS.items()]
    return "\n".join(["usage: ser <command> [key=value ...] [--help] [--cfg job] [--multirun]", "", *lines])


def flags_to_overrides(arguments: list[str]) -> list[str]:
    """Write `--root DIR` and `--audio FILE` as the Hydra overrides they stand for, quoted so that any path works."""
    parser = argparse.ArgumentParser(prog="ser", add_help=False, allow_abbrev=False)
    for name in FLAGS:
        parser.add_argument(f"--{name}")
    flags, overrides = parser.parse_known_args(arguments)
    for name in FLAGS:
        if (path := getattr(flags, name)) is not None:
            overrides.append(f"{name}='{quoted(path)}'")
    return overrides


def quoted(text: str) -> str:
    """Write a text so that it stands for itself between single quotes of Hydra's override grammar.

    Backslashes count there only in front of a quote, which the end of the text is too; `${` would be an interpolation.
    """
    escaped = re.sub(r"(\\*)('|$)", lambda match: match[1] * 2 + match[2].replace("'", "\\'"), text)
    return escaped.replace("${", "\\${")


def complete() -> None:
    """Answer the shell's TAB: subcommand names first, then what Hydra knows of that subcommand."""
    if "COMP_LINE" not in os.environ:  # `ser -sc install=bash`
        return run("train")
    program, *words = os.environ["COMP_LINE"].split(" ")
    if len(words) > 1 and words[0] in COMMANDS:
        os.environ["COMP_LINE"] = " ".join([program, *words[1:]])
        run(words[0])
    else:
        print(*COMMANDS)
