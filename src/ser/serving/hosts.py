"""Host names of this server, and the origins whose pages may send requests to it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address

NETLOC = re.compile(r"(\[[0-9a-f:.]+\]|[^\s:/?#@\\\[\]]+)(:\d*)?", re.IGNORECASE)
"""A name or an address with an optional port, as in a Host or an Origin header."""


@dataclass(frozen=True)
class Hosts:
    """The Host and Origin headers that are accepted."""

    names: frozenset[str]
    """Accepted host names; empty: all names."""
    allowed: frozenset[str]
    """Public host names of a proxy in front of the server; their pages may send requests as well."""

    @classmethod
    def from_config(cls, host: str, allowed_hosts: Iterable[str]) -> "Hosts":
        """Accept the names of this machine and `allowed_hosts`; on a network without `allowed_hosts`, any name."""
        allowed = frozenset(host_name(netloc(name)) for name in allowed_hosts)
        if not is_local(host) and not allowed:
            return cls(frozenset(), allowed)
        return cls(frozenset({"127.0.0.1", "::1", "localhost", host.lower()}) | allowed, allowed)

    def is_ours(self, host: str) -> bool:
        """Return whether a Host header names this server."""
        return not self.names or host_name(host) in self.names

    def may_ask(self, origin: str, host: str) -> bool:
        """Return whether a page of this origin may send requests: the server itself, or an allowed host at any port.

        The scheme is not compared, because behind a proxy the server does not know its public scheme.
        """
        scheme, _, place = origin.partition("://")
        if scheme not in ("http", "https"):
            return False
        return place == host or host_name(place) in self.allowed


def host_name(netloc: str) -> str:
    """Return a host name without its port; empty where it is malformed.

    >>> host_name("Localhost:7860"), host_name("[::1]:7860"), host_name("ser.example."), host_name("[::1")
    ('localhost', '::1', 'ser.example', '')
    """
    match = NETLOC.fullmatch(netloc)
    return match[1].strip("[]").rstrip(".").lower() if match else ""


def netloc(name: str) -> str:
    """Return a name in URL syntax, with IPv6 addresses in brackets.

    >>> netloc("::1"), netloc("localhost")
    ('[::1]', 'localhost')
    """
    return f"[{name}]" if ":" in name and not name.startswith("[") else name


def is_local(host: str) -> bool:
    """Return whether an address can be reached from this machine only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
