"""Forks a process for each command that a test starts: importing PyTorch takes longer than most commands here.

`start` runs it once for a session of pytest; `helpers.commands` has what tests use. It is two processes, each with a
socket: `fresh` has imported libraries that read no variable of the hub, `ser` has imported the package too. A command
is a program as `python` takes it: `-c`, `-m` or a file. It has the arguments, the environment, the working directory
and the streams of its client (`fork_client.py`), and ends as a program of its own does.
"""

import atexit
import gc
import importlib
import io
import json
import os
import runpy
import select
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import types
from contextlib import suppress
from pathlib import Path

FOLDER = "SER_TESTS_FORK_SERVER"
"""The variable that names the folder of the sockets and launchers."""
MODULES = {
    "fresh": [
        "torch", "torch._dynamo", "torch.distributed.tensor", "torch.onnx", "torchaudio", "scipy.stats",
        "scipy.optimize", "sklearn.model_selection", "pandas", "matplotlib.pyplot", "soundfile", "soxr",
        "scipy.signal", "hydra._internal.hydra", "pyarrow.parquet", "jinja2", "filelock", "tokenizers",
        "safetensors.torch",
    ],
    "ser": [
        "ser.experiments.train", "ser.commands.predict", "ser.commands.compare", "ser.commands.evaluate", "ser.apps",
        "ser.commands.export", "ser.commands.serve", "gradio", "onnxscript", "wandb", "hypothesis",
    ],
}  # fmt: skip
"""What each process imports at its first command. Not onnxruntime: it starts a thread, which no fork has."""
RARE_COLLECTIONS = 100_000, 20, 100
"""For `gc.set_threshold`: with the usual ones garbage collection is 40 % of an export to ONNX."""
LAUNCHER = '#!/bin/sh\nexec "{python}" -I -S "{client}" "{folder}" {name} {first} "$@"\n'


def skip_fsync():
    """Let the system choose when files reach the disk: no test cuts the power, and each run waits a hundred times."""
    os.fsync = lambda handle: None


def start():
    """Start the server, which ends with this process; the folder of its sockets and launchers is in the environment."""
    folder = Path(tempfile.mkdtemp(prefix="ser-tests-"))
    client = Path(__file__).with_name("fork_client.py")
    for name, first in (("python", ""), ("ser", "-m ser")):
        for server in MODULES:
            launcher = folder / f"{server}-bin" / name
            launcher.parent.mkdir(exist_ok=True)
            launcher.write_text(
                LAUNCHER.format(python=sys.executable, client=client, folder=folder, name=server, first=first)
            )
            launcher.chmod(0o755)
    quiet = "ignore:This process:DeprecationWarning"  # a library may have a thread that does nothing
    command = [sys.executable, "-W", quiet, __file__, str(folder)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    server.stdout.readline()  # it listens
    os.environ[FOLDER] = str(folder)
    return server


class ForkServer:
    """A socket for commands, and the processes that were forked for them."""

    def __init__(self, path):
        self.folder = path.parent
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(64)
        self.clients = {}
        """By the process of their command."""

    def serve(self, name):
        """Fork a process for each command until pytest has ended; return the command in each of these processes."""
        self.selector = selectors.DefaultSelector()
        self.wakeup, self.woken = socket.socketpair()
        self.woken.setblocking(False)
        signal.set_wakeup_fd(self.woken.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for source in (self.listener, self.wakeup, 0):
            self.selector.register(source, selectors.EVENT_READ)
        imported = False
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.listener:
                    imported = imported or import_modules(name)
                    if command := self.fork():
                        return command
                elif key.fileobj is self.wakeup:
                    self.wakeup.recv(4096)
                    self.reap()
                elif key.fileobj == 0:
                    self.end()
                else:
                    self.pass_on(key.data, key.fileobj)

    def fork(self):
        """Take a command and fork its process, where it is returned."""
        client, _ = self.listener.accept()
        message, streams, *_ = socket.recv_fds(client, 65536, 3)
        while not message.endswith(b"\n"):
            message += client.recv(65536)
        process = os.fork()
        if not process:
            self.close()
            client.close()
            command = json.loads(message)
            become(command, streams)
            return command["arguments"]
        for stream in streams:
            os.close(stream)
        self.clients[process] = client
        self.selector.register(client, selectors.EVENT_READ, process)
        return None

    def pass_on(self, process, client):
        """Send the signals that a client got to its command, which does not outlive a client that was killed."""
        if process in self.clients:
            for number in client.recv(64) or [signal.SIGKILL]:
                os.kill(process, number)

    def reap(self):
        """Tell the clients of processes that have ended how they did."""
        for process in list(self.clients):
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                client = self.clients.pop(process)
                self.selector.unregister(client)
                with client, suppress(OSError):
                    client.sendall(str(os.waitstatus_to_exitcode(status)).encode())

    def end(self):
        """End with pytest, and all that still runs with it."""
        for process in self.clients:
            os.kill(process, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)
        os._exit(0)

    def close(self):
        """Leave nothing of the server open in a process that it forked."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self.selector.close()
        for connection in (self.listener, self.wakeup, self.woken, *self.clients.values()):
            connection.close()


def import_modules(name):
    """Import what commands need; the processes share its memory."""
    for module in MODULES[name]:
        with suppress(ImportError):
            importlib.import_module(module)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*RARE_COLLECTIONS)
    return True


def become(command, streams):
    """Make this process that of a command: its streams, environment, folder and interpreter."""
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    if command["unbuffered"]:
        sys.stdout, sys.stderr = (
            io.TextIOWrapper(io.FileIO(number, "w", closefd=False), encoding="utf-8", write_through=True)
            for number in (1, 2)
        )
    signal.signal(signal.SIGINT, signal.SIG_IGN if command["ignores_interrupts"] else signal.default_int_handler)
    os.environ.clear()
    os.environ.update(command["environment"])
    os.chdir(command["folder"])
    sys.executable = command["executable"]  # what it starts is forked as well
    tempfile.tempdir = None
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [path for path in paths if path and path not in sys.path]
    if blank_figures.VARIABLE in os.environ and "ser.apps" in sys.modules:
        blank_figures.draw_nothing()


def run_program(first, *arguments):
    """Run a program as `python` does."""
    if first == "-c":
        sys.argv, main = ["-c", *arguments[1:]], types.ModuleType("__main__")
        sys.path.insert(0, "")
        sys.modules["__main__"] = main
        exec(compile(arguments[0], "<string>", "exec"), main.__dict__)
    elif first == "-m":
        sys.argv = list(arguments)
        sys.path.insert(0, os.getcwd())
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [first, *arguments]
        sys.path.insert(0, str(Path(first).resolve().parent))
        runpy.run_path(first, run_name="__main__")


def run_to_its_end(*words):
    """Run a program and end as `python` does, without taking the interpreter apart: that takes half a second here."""
    status, interrupted = 0, False
    try:
        run_program(*words)
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
        if isinstance(ending.code, str):
            print(ending.code, file=sys.stderr)
    except BaseException as raised:
        status, interrupted = 1, isinstance(raised, KeyboardInterrupt)
        sys.excepthook(type(raised), raised, raised.__traceback__)
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # nobody reads it any more
            status = 120
    if interrupted:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(status & 0xFF)


def main(folder):
    skip_fsync()
    servers = {name: ForkServer(folder / name) for name in MODULES}
    print(flush=True)
    os.dup2(2, 1)
    ready, _, _ = select.select([0, *(server.listener for server in servers.values())], [], [])
    if 0 in ready:  # no test has started a command
        return shutil.rmtree(folder)
    import_modules("fresh")
    name, other = ("fresh", "ser") if os.fork() else ("ser", "fresh")
    servers[other].listener.close()
    run_to_its_end(*servers[name].serve(name))


if __name__ == "__main__":
    import blank_figures

    del sys.path[0]  # the helpers
    main(Path(sys.argv[1]))
