"""Where the service listens: the socket, and the address that others can reach it at."""

import errno
import os
import socket

from p2pswarm.errors import HostError, PortTakenError
from tracker.config import DEFAULT_PORT

__all__ = ["bind", "is_every_address", "own_address"]

_TRIES = 100  # ports, from the default one on


def bind(host: str, port: int | None) -> socket.socket:
    """A listening socket on `port`, or for None on the first free one from 6969 on.

    Raises PortTakenError when the named port is taken, HostError when the host is not this machine.
    """
    if port is not None:
        return _bind(host, port)
    for free in range(DEFAULT_PORT, DEFAULT_PORT + _TRIES):
        try:
            return _bind(host, free)
        except PortTakenError:
            continue
    raise PortTakenError(f"the ports {DEFAULT_PORT} to {DEFAULT_PORT + _TRIES - 1} are all taken")


def _bind(host: str, port: int) -> socket.socket:
    try:
        infos = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, *_, place = infos[0]
        both = family == socket.AF_INET6 and is_every_address(host) and socket.has_dualstack_ipv6()
        return socket.create_server(place[:2], family=family, dualstack_ipv6=both)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(f"port {port} on {host} is taken") from error
        # create_server adds the address to the system's words; ours name it already.
        why = (
            error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        )
        raise HostError(f"cannot listen on {host} port {port}: {why}") from error


def is_every_address(host: str) -> bool:
    return host in ("", "0.0.0.0", "::")  # noqa: S104 - this only compares


def own_address() -> str:
    """This machine's address in the network it reaches the world through; 127.0.0.1 when it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1: sends nothing, only asks for the route
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
