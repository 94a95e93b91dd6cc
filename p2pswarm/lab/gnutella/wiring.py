"""Links without a greeting: the product's streams and links over the virtual network.

A greeting takes a millisecond, and there are a hundred thousand links; what it would agree on is given. All
framers share one scratch, as those of a node do.
"""

from collections.abc import Callable, Sequence
from functools import cache

from p2pswarm.lab.gnutella.servents import PORT
from p2pswarm.lab.loop import VirtualLoop
from p2pswarm.lab.wires import Host
from p2pswarm.net.stream import Stream
from p2pswarm.overlay.gnutella.links.agreement import MAX_TTL, Agreement, Role
from p2pswarm.overlay.gnutella.links.link import Hearer, Link
from p2pswarm.wire.framer import KeepingFramer, Scratch

__all__ = ["Wiring", "agreement", "hosts"]


class _Nobody:
    """A conversation before there is a link."""

    def got(self, message: object) -> None:
        """Nothing was sent yet."""

    def caught_up(self) -> None:
        """Nor is there now."""

    def drained(self) -> None:
        """Nothing was said."""

    def closed(self, reason: Exception | None) -> None:
        """Nobody minds."""


class Wiring:
    """`connect` any two of these hosts."""

    def __init__(self, loop: VirtualLoop, hosts: Sequence[Host]) -> None:
        self._loop, self._hosts = loop, hosts
        self._scratch = Scratch()
        self._silence, self._nobody = KeepingFramer(self._scratch), _Nobody()

    def connect(
        self,
        ends: tuple[int, int],
        hearers: tuple[Hearer, Hearer],
        agreements: tuple[Agreement, Agreement],
        joined: tuple[Callable[[Link], object], Callable[[Link], object]],
    ) -> None:
        """Hearers are told by `joined` when both ends are there."""
        near, far = (Stream(self._silence, self._nobody) for _ in ends)
        here, there = (self._hosts[end] for end in ends)
        self._loop.connect(here, there, near, far, port=PORT)
        links = [
            self._link(stream, hearer, agreed)
            for stream, hearer, agreed in zip((near, far), hearers, agreements, strict=True)
        ]
        for tell, link in zip(joined, links, strict=True):
            tell(link)

    def _link(self, stream: Stream, hearer: Hearer, agreed: Agreement) -> Link:
        link = Link(stream, agreed, hearer)
        stream.switch(link.framer(self._scratch), link)
        return link


def hosts(loop: VirtualLoop, count: int) -> list[Host]:
    """One for each node: 10.0.0.1 and so on."""
    return [loop.host(_name(number)) for number in range(1, count + 1)]


def _name(number: int) -> str:
    return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"


@cache  # a hundred thousand links, a few agreements
def agreement(ours: Role, theirs: Role, degree: int, *, routing: bool = True) -> Agreement:
    """As nodes of ours agree, with nothing compressed; they say that they have `degree` ultrapeers.

    Without `routing` ultrapeers tell each other no tables; leaves always do.
    """
    if theirs is Role.PEER:
        return Agreement(ours=ours, theirs=theirs, bye=True)
    return Agreement(
        ours=ours,
        theirs=theirs,
        degree=degree,
        max_ttl=MAX_TTL,
        dynamic=True,
        ext_probes=True,
        query_routing=theirs is Role.ULTRAPEER and (routing or ours is Role.LEAF),
        vendor_messages=True,
        bye=True,
    )
