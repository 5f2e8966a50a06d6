"""The command line as a user runs it: in a process of its own, with the status and the output of one.

The process is forked from one that has done the imports, which take longer than most commands here. Variables that a
library reads when it is imported (HF_HOME, HF_ENDPOINT) need a process that starts anew: `ser_anew`.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path

FORKSERVER = multiprocessing.get_context("forkserver")
FORKSERVER.set_forkserver_preload(["ser.commands.train", "ser.commands.predict", "ser.commands.compare", "ser.apps"])


def ser_anew(*arguments, **kwargs):
    """Start `ser` as a shell does."""
    return subprocess.run([sys.executable, "-m", "ser", *arguments], capture_output=True, **{"text": True, **kwargs})


def ser(*arguments, cwd=None, env=None, input=b"", text=True):
    """Run `ser` in a fork, and give what `subprocess.run` would."""
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder) / name for name in ("stdin", "stdout", "stderr")]
        streams[0].write_bytes(input)
        environment = dict(os.environ if env is None else env)
        words = [os.fsencode(word) for word in arguments]
        process = FORKSERVER.Process(target=_main, args=(words, cwd or os.getcwd(), environment, streams))
        process.start()
        process.join()
        stdout, stderr = (path.read_text(encoding="utf-8") if text else path.read_bytes() for path in streams[1:])
    return subprocess.CompletedProcess(arguments, process.exitcode, stdout, stderr)


def _main(words, cwd, environment, streams):
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    for number, path in enumerate(streams):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = open(0, encoding="utf-8")  # noqa: SIM115  # multiprocessing has given the process an empty one
    sys.argv = ["ser", *map(os.fsdecode, words)]
    from ser.cli import main

    main()
