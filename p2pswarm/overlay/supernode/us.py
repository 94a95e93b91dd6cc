"""Who we are to the others: our name, where we are seen, what we share, how busy we are.

Both roles of a node speak of the same node; this is what they say.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import zone_of
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
        self._seen: OrderedDict[bytes, str] = OrderedDict()  # by whom, and as which host

    def hello(self, want: Want, nonce: bytes = b"") -> Hello:
        options = self.options
        willing, firewalled = options.willing, options.firewalled
        return Hello(self.node, self._port.number, want, AGENT, willing, firewalled, nonce)

    def seen(self, teller: bytes, host: str) -> None:
        """Somebody sees us there."""
        if Address(host, self._port.number).dialable:
            remember(self._seen, teller, host, MOST_SEEN)

    @property
    def port(self) -> int:
        return self._port.number

    @property
    def address(self) -> Address | None:
        """Where most see us, of those that are farthest away; None while nobody has told."""
        host = self._port.bound
        if host is None and self._seen:
            told = Counter(self._seen.values())
            host = min(told, key=lambda each: (zone_of(each), -told[each]))
        return None if host is None else Address(host, self._port.number)

    @property
    def addresses(self) -> set[Address]:
        """Everywhere we are seen."""
        bound = self._port.bound
        hosts = {*self._seen.values(), *([bound] if bound else [])}
        return {Address(host, self._port.number).normal for host in hosts}
