"""Stands in for `python` and `ser`: has `fork_server.py` run a program, passes signals on, and ends as it does.

Needs the standard library only, and little of it: it starts in some milliseconds.
"""

import json
import os
import signal
import socket
import sys

folder, server, *arguments = sys.argv[1:]
unbuffered = arguments[0] == "-u"
del arguments[:unbuffered]
if arguments[0].startswith("-") and arguments[0] not in ("-c", "-m"):
    os.execv(sys.executable, [sys.executable, *["-u"] * unbuffered, *arguments])
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(f"{folder}/{server}")
    command = {
        "arguments": arguments,
        "environment": dict(os.environ),
        "executable": f"{folder}/{server}-bin/python",
        "folder": os.getcwd(),
        "ignores_interrupts": signal.getsignal(signal.SIGINT) == signal.SIG_IGN,
        "unbuffered": unbuffered or bool(os.environ.get("PYTHONUNBUFFERED")),
    }
    message = json.dumps(command).encode() + b"\n"
    sent = socket.send_fds(connection, [message], [0, 1, 2])
    connection.sendall(message[sent:])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, _: connection.sendall(bytes([number])))
    status = int(connection.recv(16))
if status < 0:
    signal.signal(-status, signal.SIG_DFL) if -status != signal.SIGKILL else None
    os.kill(os.getpid(), -status)
sys.exit(status)
