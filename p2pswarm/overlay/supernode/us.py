"""Who we are to the others: our name, where we are seen, what we share, how busy we are.

Both roles of a node speak of the same node; this is what they say.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import owner_of, zone_of
from p2pswarm.net.port import Port
from p2pswarm.overlay.remembering import remember
from p2pswarm.overlay.supernode.options import Options
from p2pswarm.wire.http.heads import AGENT
from p2pswarm.wire.supernode.hello import Hello, Want

if TYPE_CHECKING:
    from p2pswarm.wire.supernode.shares import SharedFile

__all__ = ["Us"]

MOST_SEEN = 20  # last ones who told under which address they see us


class Us:
    """`spare` says how much of a CPU is free, in percent."""

    def __init__(
        self, node: bytes, port: Port, options: Options, spare: Callable[[], int] = lambda: 100
    ) -> None:
        self.node, self.options, self.spare = node, options, spare
        self.files: dict[int, SharedFile] = {}
        """By their numbers; the first ones are shared."""
        self._port = port
        self._ends: OrderedDict[str, None] = OrderedDict()  # hosts of ours that others dialed
        self._seen: OrderedDict[str, str] = OrderedDict()  # by whom, and as which host

    def hello(self, want: Want, nonce: bytes = b"") -> Hello:
        options = self.options
        willing, firewalled = options.willing, options.firewalled
        return Hello(self.node, self._port.number, want, AGENT, willing, firewalled, nonce)

    def here(self, host: str) -> None:
        """Our end of a connection: nobody has told that."""
        if Address(host, self._port.number).dialable:
            remember(self._ends, host, None, MOST_SEEN)

    def seen(self, teller: Address, host: str) -> None:
        """Whom we dialed there sees us as that host; he cannot, when he is in another zone than it is."""
        if Address(host, self._port.number).dialable and zone_of(host) is zone_of(teller.host):
            remember(self._seen, owner_of(teller), host, MOST_SEEN)

    @property
    def port(self) -> int:
        return self._port.number

    @property
    def address(self) -> Address | None:
        """Where we are bound, or the farthest place where most see us; None while nobody has told."""
        host = self._port.bound or self._chosen([*self._ends, *self._seen.values()])
        return None if host is None else Address(host, self._port.number)

    def _chosen(self, hosts: Iterable[str]) -> str | None:
        told = Counter(hosts)
        return min(
            told,
            key=lambda each: (zone_of(each), each not in self._ends, -told[each]),
            default=None,
        )

    @property
    def addresses(self) -> set[Address]:
        """Where we know to be, and where most see us: one teller makes no other host ours."""
        hosts = {self._port.bound, *self._ends, self._chosen(self._seen.values())}
        return {Address(host, self._port.number).normal for host in hosts if host is not None}
