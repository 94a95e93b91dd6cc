"""One group of the local network, heard and spoken to on one interface.

Several programs of a machine, and several nodes of a process, listen to the same group at once, and hear each
other. What comes in was sent by anybody near; nothing is answered here.
"""

import asyncio
import logging
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

import ifaddr
from typing_extensions import override

from p2pswarm.formats.ids import Address

__all__ = ["Interface", "Multicast", "interfaces"]

log = logging.getLogger(__name__)

_Ip = IPv4Address | IPv6Address

# Linux gives a socket what any socket of the machine joined, unless told otherwise; Python has no names.
_IP_MULTICAST_ALL = 49
_IPV6_MULTICAST_ALL = 29


@dataclass(frozen=True, slots=True)
class Interface:
    """An address of ours, and the number of the interface that has it."""

    host: str
    index: int


def interfaces(hosts: Sequence[str]) -> list[Interface]:
    """Of these local addresses, of which `0.0.0.0` and `::` mean all; one address each for an interface and
    family. The loopback is used only where there is nothing else."""
    found: dict[tuple[int, int], Interface] = {}
    for wish in (ip for ip in (Address(host, 1).ip for host in hosts) if ip is not None):
        for ip, index in _ours():
            if ip.version == wish.version and _is_of(ip, wish):
                host = ip if wish.is_unspecified else wish
                found.setdefault((ip.version, index), Interface(str(host), index))
    outside = [each for each in found.values() if not ip_address(each.host).is_loopback]
    return outside or list(found.values())


def _is_of(ip: _Ip, wish: _Ip) -> bool:
    """Of all addresses that begin with 127 the loopback lists but one."""
    return wish.is_unspecified or ip == wish or (ip.is_loopback and wish.is_loopback)


def _ours() -> Iterator[tuple[_Ip, int]]:
    """Every address of ours, and the number of its interface."""
    for adapter in ifaddr.get_adapters():
        for each in adapter.ips:
            ip = Address(each.ip if isinstance(each.ip, str) else each.ip[0], 1).ip
            if ip is not None and not ip.is_link_local and adapter.index is not None:
                yield ip, adapter.index


class Multicast(asyncio.DatagramProtocol):
    """`open` before use, `close` at the end, which may be called twice."""

    def __init__(self, group: Address, heard: Callable[[bytes, Address], None]) -> None:
        self.group = group
        self._heard = heard
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self, interface: Interface) -> None:
        """Raises OSError where the interface has no multicast."""
        sock = _joined(self.group, interface)
        try:
            loop = asyncio.get_running_loop()
            transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=sock)
        except BaseException:
            sock.close()
            raise
        self._transport = transport

    def send(self, data: bytes) -> None:
        """Whatever cannot be sent is dropped."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data, tuple(self.group))

    def close(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()

    @override
    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._transport is not None:
            self._heard(data, Address(addr[0], addr[1]).normal)

    @override
    def error_received(self, exc: Exception) -> None:
        log.debug("nothing was sent to %s: %s", self.group, exc)


def _joined(group: Address, interface: Interface) -> socket.socket:
    """A socket that hears the group on this interface and speaks to it from there. Raises OSError."""
    four = isinstance(group.ip, IPv4Address)
    sock = socket.socket(socket.AF_INET if four else socket.AF_INET6, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "SO_REUSEPORT") and sys.platform != "linux":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if four:
            _join_four(sock, group, interface)
        else:
            _join_six(sock, group, interface)
    except BaseException:
        sock.close()
        raise
    return sock


def _join_four(sock: socket.socket, group: Address, interface: Interface) -> None:
    here = socket.inet_aton(interface.host)
    sock.setsockopt(
        socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group.host) + here
    )
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, here)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
    if sys.platform == "linux":
        sock.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
    sock.bind((group.host if sys.platform != "win32" else "", group.port))


def _join_six(sock: socket.socket, group: Address, interface: Interface) -> None:
    index = interface.index.to_bytes(4, sys.byteorder)
    packed = socket.inet_pton(socket.AF_INET6, group.host)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, packed + index)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 1)
    if sys.platform == "linux":
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MULTICAST_ALL, 0)
    sock.bind((group.host if sys.platform != "win32" else "::", group.port, 0, interface.index))
