"""Where the service listens: its sockets, and the address that others can reach it at."""

import errno
import os
import socket
from typing import NamedTuple

from p2pswarm.errors import HostError, PortTakenError
from p2pswarm.net.binding import ANY, EVERYWHERE, own_addresses
from tracker.config import DEFAULT_PORT

__all__ = ["Sockets", "bind", "is_every_address", "own_address"]

_TRIES = 100  # ports, from the default one on


class Sockets(NamedTuple):
    """Of one number: for connections and, where it is wanted, for datagrams."""

    tcp: socket.socket
    udp: socket.socket | None


def bind(host: str, port: int | None, *, udp: bool = False) -> Sockets:
    """Sockets on `port`, or for None on the first free one from 6969 on.

    Raises PortTakenError when the named port is taken, HostError when the host is not this machine.
    """
    if host == ANY:  # of both families, where the machine has both
        host = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104
    if port:
        return _bind(host, port, udp)
    wishes = [0] * _TRIES if port == 0 else range(DEFAULT_PORT, DEFAULT_PORT + _TRIES)
    for free in wishes:
        try:
            return _bind(host, free, udp)
        except PortTakenError:
            continue
    raise PortTakenError(f"the ports {DEFAULT_PORT} to {DEFAULT_PORT + _TRIES - 1} are all taken")


def _bind(host: str, port: int, udp: bool) -> Sockets:
    try:
        infos = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, *_, place = infos[0]
        both = family == socket.AF_INET6 and is_every_address(host) and socket.has_dualstack_ipv6()
        tcp = socket.create_server(place[:2], family=family, dualstack_ipv6=both)
        try:
            return Sockets(tcp, _bind_udp(tcp, both) if udp else None)
        except OSError:
            tcp.close()
            raise
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(f"port {port} on {host} is taken") from error
        # create_server adds the address to the system's words; ours name it already.
        why = (
            error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        )
        raise HostError(f"cannot listen on {host} port {port}: {why}") from error


def _bind_udp(tcp: socket.socket, both: bool) -> socket.socket:
    """At the same place. Raises OSError."""
    place = socket.socket(tcp.family, socket.SOCK_DGRAM)
    try:
        place.setblocking(False)
        if tcp.family == socket.AF_INET6:
            place.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
        place.bind(tcp.getsockname())
    except OSError:
        place.close()
        raise
    return place


def is_every_address(host: str) -> bool:
    return host in ("", ANY, "0.0.0.0", "::")  # noqa: S104 - this only compares


def own_address() -> str:
    """This machine's address in the network it reaches the world through, or in another one that it is in;
    127.0.0.1 when it is alone."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1: sends nothing, only asks for the route
        except OSError:
            return next(iter(sorted(own_addresses(EVERYWHERE), key=_is_six)), "127.0.0.1")
        return str(probe.getsockname()[0])


def _is_six(host: str) -> bool:
    return ":" in host
