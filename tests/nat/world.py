"""A small Internet: public hosts, and hosts behind routers, all joined by one router in the middle.

Everybody's public address is one of 11.N.0.0/24, as the node must take it for a global one; nobody here meets
its owner. Private networks are 192.168.N.0/24, no two alike, or a host would look for its peer beside itself.
What goes from one place to another passes the middle, where links may lose packets.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count

from tests.nat.link import Link, Weather, tun
from tests.nat.namespaces import Namespace
from tests.nat.routers import rules
from tests.support.foreign import until

__all__ = ["Host", "World", "world"]


class Host:
    """A machine, its address, the one the world sees, and the router that all its packets pass."""

    def __init__(
        self, kind: str, inner: Namespace, gate: Namespace, address: str, public: str
    ) -> None:
        self.namespace = inner
        self.inside = inner.inside
        self.link: Link | None = None
        """To the middle, if it is one with a weather; the first direction is that of what it sends."""
        self.moved(kind, gate, address, public)

    def moved(self, kind: str, gate: Namespace, address: str, public: str) -> None:
        """That is where it is now."""
        self.kind, self._gate = kind, gate
        self.address, self.public = address, public

    def count_from(self, other: "Host") -> None:
        """From now on, for `delivered_from`."""
        self._gate.iptables("-I", "FORWARD", "1", "-s", other.public, "-d", self.address)

    def delivered_from(self, other: "Host") -> int:
        """Bytes of `other` itself that the router let in to this host, since `count_from`."""
        rows = self._gate.iptables("-nvxL", "FORWARD").splitlines()
        counter = rf" *\d+ +(\d+) .* {re.escape(other.public)} +{re.escape(self.address)} *$"
        (octets,) = [match[1] for row in rows if (match := re.match(counter, row))]
        return int(octets)


class World:
    """The router in the middle and all that hang on it."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._numbers = count(1)
        self.middle = self._namespace()
        self.middle.forwards()

    def host(
        self, kind: str = "none", *, careless: bool = False, weather: Weather | None = None
    ) -> Host:
        """One more machine; unless its kind is none it is behind a router of this kind."""
        number = next(self._numbers)
        public = f"11.{number}.0.1"
        edge = self._namespace()
        link = self._link(number, edge, "wan", public, weather)
        host = self._at(number, edge, kind, public, careless=careless)
        host.link = link
        return host

    def _at(self, number: int, edge: Namespace, kind: str, public: str, *, careless: bool) -> Host:
        if kind == "none":
            return Host(kind, edge, self.middle, public, public)
        inner, address = self._namespace(), _behind(number)
        edge.rules(*rules(kind, address, careless=careless))
        self._plug(number, edge, inner)
        return Host(kind, inner, edge, address, public)

    def move(self, host: Host, kind: str) -> None:
        """Who was behind a router is behind another one: another network, another address of its own."""
        host.namespace.ip("link delete eth")
        number = next(self._numbers)
        edge, public = self._namespace(), f"11.{number}.0.1"
        host.link = self._link(number, edge, "wan", public, None)
        address = _behind(number)
        edge.rules(*rules(kind, address))  # first: what passes without them is never translated
        self._plug(number, edge, host.namespace)
        host.moved(kind, edge, address, public)

    def lose(self, host: Host, share: float) -> None:
        """Its link to the world loses this share of what it sends and of what it gets."""
        for side in ("-s", "-d"):
            random = ["-m", "statistic", "--mode", "random", "--probability", str(share)]
            self.middle.iptables("-A", "FORWARD", side, host.public, *random, "-j", "DROP")

    def silence(self, host: Host) -> None:
        """It has gone for the world, as a machine whose cable was pulled."""
        self.lose(host, 1)

    def _namespace(self) -> Namespace:
        made = Namespace()
        self._stack.callback(made.close)
        return made

    def _link(
        self, number: int, edge: Namespace, name: str, public: str, weather: Weather | None
    ) -> Link | None:
        link = None
        if weather is None:
            self.middle.ip(f"link add to{number} type veth peer name {name} netns {edge.path}")
        else:
            link = self._stack.enter_context(joined((edge, name), (self.middle, f"to{number}")))
            link.set(weather)
        self.middle.ip(
            f"address add 11.{number}.0.254/24 dev to{number}",
            f"link set to{number} up",
        )
        edge.ip(
            f"address add {public}/24 dev {name}",
            f"link set {name} up",
            f"route add default via 11.{number}.0.254",
        )
        _until_carried((self.middle, f"to{number}"), (edge, name))
        return link

    def _plug(self, number: int, router: Namespace, inner: Namespace) -> None:
        router.forwards()
        router.ip(
            f"link add lan type veth peer name eth netns {inner.path}",
            f"address add 192.168.{number}.1/24 dev lan",
            "link set lan up",
        )
        inner.ip(
            f"address add {_behind(number)}/24 dev eth",
            "link set eth up",
            f"route add default via 192.168.{number}.1",
        )
        _until_carried((router, "lan"), (inner, "eth"))


def _behind(number: int) -> str:
    """The address of the one host behind this router."""
    return f"192.168.{number}.2"


def _until_carried(*ends: tuple[Namespace, str]) -> None:
    for namespace, name in ends:
        until(partial(namespace.carries, name), f"{name} carries packets")


@contextmanager
def joined(*ends: tuple[Namespace, str]) -> Iterator[Link]:
    """Two namespaces, and what the device is called in each."""
    devices = []
    for namespace, name in ends:
        with namespace.inside():
            devices.append(tun(name))
    link = Link(*devices)
    try:
        yield link
    finally:
        link.close()


@contextmanager
def world() -> Iterator[World]:
    """Gone afterwards with everything in it, as soon as its programs have ended."""
    with ExitStack() as stack:
        yield World(stack)
