"""How much memory a server takes when a crowd sends as much as it may: python scripts/crowd.py.

Starts `ser serve` with its own limits and a tiny random checkpoint, on a free port of this machine. SENDERS clients
send a file of `max_megabytes` except its end, as many more upload one like the page, and as many send a whole one and
wait for the answer. Prints the resident memory before, the most during it, and whether that is within the documented
bound; exits with 1 where it is not.
"""

import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
from soak import checkpoint
from soak_requests import Server, header

SENDERS = 60
MEGABYTES = 20
QUEUE = 32
PROMISE = (QUEUE + 1) * MEGABYTES + 60
"""Megabytes, as configs/serve.yaml says: recordings, and what 200 connections have not handed on yet."""


def wav(size: int) -> bytes:
    """48 kHz, stereo, 16 bits, of this many bytes."""
    data = (size - 44).to_bytes(4, "little")
    form = bytes.fromhex("666d7420 10000000 0100 0200 80bb0000 00ee0200 0400 1000")
    return b"RIFF" + (size - 8).to_bytes(4, "little") + b"WAVE" + form + b"data" + data + bytes(size - 44)


def main() -> None:
    """Start the server, send, report."""
    with tempfile.TemporaryDirectory(prefix="ser-crowd-") as name:
        command = [sys.executable, "-m", "ser", "serve", f"checkpoint={checkpoint(Path(name) / 'run')}", "port=0"]
        limits = (f"max_megabytes={MEGABYTES}", f"queue={QUEUE}")
        with subprocess.Popen([*command, *limits], stdout=subprocess.PIPE, text=True) as running:
            assert running.stdout is not None
            server = Server(running.stdout.readline().strip().removeprefix("http://"), {}, {}, {})
            process = psutil.Process(running.pid)
            server.ask("/predict?window=4", wav(MEGABYTES * 1_000_000))  # what decoding and the model need is there
            before = process.memory_info().rss / 1e6
            most, over = [before], threading.Event()

            def watch() -> None:
                while not over.wait(0.01):
                    most.append(process.memory_info().rss / 1e6)

            watching = threading.Thread(target=watch)
            watching.start()
            crowd(server)
            over.set()
            watching.join()
            running.terminate()
    print(f"{before:.0f} MB resident before, {max(most):.0f} MB at the most: {max(most) - before:.0f} MB more")
    holds = max(most) - before <= PROMISE
    print(f"documented: {PROMISE} MB and one prediction: {'OK' if holds else 'NOT'}")
    sys.exit(not holds)


def crowd(server: Server) -> None:
    """Stalled senders, then uploads and whole files at the same time."""
    content = wav(MEGABYTES * 1_000_000)
    stalled = []
    for _ in range(SENDERS):
        connection = server.open(header(server, len(content)))
        connection.settimeout(5)
        with suppress(OSError):  # it was refused
            connection.sendall(content[:-1])
        stalled.append(connection)
    form = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\n' + content + b"\r\n--x--\r\n"

    def ask(index: int) -> int:
        try:
            if index % 2:
                return server.ask("/predict?window=4", content)[0]
            return server.ask("/gradio_api/upload", form, **{"Content-Type": "multipart/form-data; boundary=x"})[0]
        except OSError:
            return 0

    with ThreadPoolExecutor(SENDERS) as threads:
        print("statuses:", sorted(threads.map(ask, range(2 * SENDERS))))
    for connection in stalled:
        connection.close()


if __name__ == "__main__":
    main()
