"""A DHT in virtual time: real nodes, and datagrams that are only calls.

A node is a host of the Internet, in a neighbourhood of its own. Who has left neither hears nor answers.
"""

import asyncio
from collections.abc import Iterable
from random import Random

from p2pswarm.discovery.dht.dht import Dht
from p2pswarm.discovery.dht.saved import SavedTable
from p2pswarm.errors import RemoteError
from p2pswarm.formats.ids import Address
from p2pswarm.wire.krpc import Family

__all__ = ["DhtNet"]


class DhtNet:
    """`dice` makes every run the same run; `delay` is a way, in seconds."""

    def __init__(self, seed: int = 1, *, delay: float = 0.05, loss: float = 0.0) -> None:
        self.dice = Random(seed)
        self.loop = asyncio.get_running_loop()
        self.delay, self.loss = delay, loss
        self.nodes: dict[Address, Dht] = {}
        self.running: dict[Address, asyncio.Task[None]] = {}
        self.sent = 0
        self._hosts = 0

    def address(self, family: Family = Family.IPV4) -> Address:
        """One that nobody has had."""
        self._hosts += 1
        high, low = divmod(self._hosts, 200)
        if family is Family.IPV4:
            return Address(f"{20 + high}.{1 + low}.7.7", 6881)
        return Address(f"2a00:{1 + high:x}:{1 + low:x}::7", 6881)

    def node(
        self,
        bootstrap: Iterable[Address] = (),
        *,
        families: tuple[Family, ...] = (Family.IPV4,),
        addresses: tuple[Address, ...] = (),
        saved: SavedTable | None = None,
        runs: bool = True,
    ) -> tuple[Dht, Address]:
        """One more, and its first address."""
        addresses = addresses or tuple(map(self.address, families))
        dht = Dht(
            lambda data, to: self.send(data, addresses, to),
            families=families,
            dice=Random(self.dice.random()),
            clock=self.loop.time,
            later=self.loop.call_later,
            bootstrap=tuple(bootstrap),
            saved=saved,
            resolve=_as_they_are,
        )
        for address in addresses:
            self.nodes[address] = dht
        if runs:
            self.running[addresses[0]] = self.loop.create_task(dht.run())
        return dht, addresses[0]

    def leave(self, address: Address) -> None:
        dht = self.nodes[address]
        for each in [each for each, other in self.nodes.items() if other is dht]:
            del self.nodes[each]
        task = self.running.pop(address, None)
        if task is not None:
            task.cancel()
        dht.close()

    async def close(self) -> None:
        tasks = list(self.running.values())
        for address in list(self.running):
            self.leave(address)
        await asyncio.gather(*tasks, return_exceptions=True)

    def send(self, data: bytes, ours: tuple[Address, ...], to: Address) -> None:
        assert len(data) <= 1472, "it would be cut"
        self.sent += 1
        if self.dice.random() >= self.loss:
            own = next(each for each in ours if (":" in each.host) == (":" in to.host))
            self.loop.call_later(self.delay, self._deliver, data, own, to)

    def _deliver(self, data: bytes, sender: Address, to: Address) -> None:
        node = self.nodes.get(to)
        if node is not None:
            try:
                node.got(data, sender)
            except RemoteError:
                raise AssertionError("a node of ours said what no node of ours reads") from None


async def _as_they_are(named: Iterable[Address]) -> tuple[Address, ...]:
    return tuple(named)
