"""Host names of this server, and the sites whose pages may send it requests."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address

NETLOC = re.compile(r"(\[[0-9a-f:.]+\]|[^\s:/?#@\\\[\]]+)(:\d*)?", re.IGNORECASE)
"""A name or an address with a port, as a Host header and an Origin give it."""


@dataclass(frozen=True)
class Hosts:
    """Which Host and Origin headers pass."""

    names: frozenset[str]
    """Names that the server answers to; none: any."""
    allowed: frozenset[str]
    """Names at which a proxy answers the public: their pages may ask as well."""

    @classmethod
    def from_config(cls, host: str, allowed_hosts: Iterable[str]) -> "Hosts":
        """Answer to the names of this machine and to `allowed_hosts`; on a network and without those, to any name."""
        allowed = frozenset(host_name(netloc(name)) for name in allowed_hosts)
        if not is_local(host) and not allowed:
            return cls(frozenset(), allowed)
        return cls(frozenset({"127.0.0.1", "::1", "localhost", host.lower()}) | allowed, allowed)

    def is_ours(self, host: str) -> bool:
        """Whether a Host header names this server."""
        return not self.names or host_name(host) in self.names

    def may_ask(self, origin: str, host: str) -> bool:
        """Whether a page of this origin may ask: one of the server's own, or of an allowed host at any port.

        The scheme is not compared: behind a proxy the server does not know its own.
        """
        scheme, _, place = origin.partition("://")
        if scheme not in ("http", "https"):
            return False
        return place == host or host_name(place) in self.allowed


def host_name(netloc: str) -> str:
    """The name without the port; empty where it is malformed.

    >>> host_name("Localhost:7860"), host_name("[::1]:7860"), host_name("ser.example."), host_name("[::1")
    ('localhost', '::1', 'ser.example', '')
    """
    match = NETLOC.fullmatch(netloc)
    return match[1].strip("[]").rstrip(".").lower() if match else ""


def netloc(name: str) -> str:
    """A name as it stands in a URL: IPv6 in brackets.

    >>> netloc("::1"), netloc("localhost")
    ('[::1]', 'localhost')
    """
    return f"[{name}]" if ":" in name and not name.startswith("[") else name


def is_local(host: str) -> bool:
    """Whether only this machine reaches the address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
