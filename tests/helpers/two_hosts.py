"""Two hosts on this machine: network namespaces with a cable between them."""

import os
import subprocess
from contextlib import contextmanager, suppress

import pytest

ADDRESSES = ("10.79.13.1", "10.79.13.2")
CABLE = "cable"
"""The name of the network interface on either host."""

ENTER = """
import ctypes, os

def enter(name):
    "Move this process into a network namespace."
    with open(f"/run/netns/{name}") as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0x40000000):
            raise OSError(ctypes.get_errno(), "setns")
"""


def ip(*words):
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@contextmanager
def two_hosts():
    """Make the hosts; yields their names. Skips the test where the machine does not allow it."""
    names = [f"ser-{os.getpid()}-{number}" for number in (1, 2)]
    try:
        for name in names:
            ip("netns", "add", name)
        ip("link", "add", "name", CABLE, "netns", names[0], "type", "veth", "peer", "name", CABLE, "netns", names[1])
        for name, address in zip(names, ADDRESSES, strict=True):
            ip("-n", name, "address", "add", f"{address}/24", "dev", CABLE)
            for interface in ("lo", CABLE):
                ip("-n", name, "link", "set", interface, "up")
        yield names
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"network namespaces cannot be made here: {getattr(error, 'stderr', None) or error}")
    finally:
        for name in names:
            with suppress(OSError, subprocess.CalledProcessError):
                ip("netns", "delete", name)
