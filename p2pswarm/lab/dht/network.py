"""A DHT in virtual time: real nodes, and datagrams that are only calls.

A node is a host of the Internet, in a neighbourhood of its own. Who has left neither hears nor answers.
"""

import asyncio
from collections.abc import Iterable, Sequence
from random import Random
from typing import NamedTuple

from p2pswarm.discovery.dht.dht import Dht
from p2pswarm.discovery.dht.ids import secure_id
from p2pswarm.discovery.dht.saved import SavedTable
from p2pswarm.errors import LocalProtocolError, RemoteError
from p2pswarm.formats.ids import Address
from p2pswarm.wire.krpc import Contact, Family

__all__ = ["DhtNet", "Member"]

_CARRIED = 1472  # bytes of a datagram, in Ethernet's frames
_NEIGHBOURS = 8


class Member(NamedTuple):
    """A node, and its first address."""

    dht: Dht
    address: Address


class DhtNet:
    """`dice` makes every run the same run; `delay` is a way, in seconds; `loss` a share of the datagrams."""

    def __init__(self, seed: int = 1, *, delay: float = 0.05, loss: float = 0.0) -> None:
        self.dice = Random(seed)
        self.loop = asyncio.get_running_loop()
        self.delay, self.loss = delay, loss
        self.nodes: dict[Address, Dht] = {}
        self.sent = 0
        """Datagrams."""
        self._running: dict[Address, asyncio.Task[None]] = {}
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
        families: Sequence[Family] = (Family.IPV4,),
        addresses: Sequence[Address] = (),
        saved: SavedTable | None = None,
        runs: bool = True,
    ) -> Member:
        """One more. One that does not run asks nobody by itself."""
        addresses = addresses or tuple(map(self.address, families))
        dht = Dht(
            lambda data, to: self._send(data, addresses, to),
            families=families,
            dice=Random(self.dice.random()),
            clock=self.loop.time,
            later=self.loop.call_later,
            bootstrap=tuple(bootstrap),
            saved=saved,
            resolve=_as_they_are,
        )
        self.nodes.update(dict.fromkeys(addresses, dht))
        if runs:
            self._running[addresses[0]] = self.loop.create_task(dht.run())
        return Member(dht, addresses[0])

    def settled(self, count: int, known: int) -> list[Member]:
        """So many at once, as if they had been there for long: each knows its neighbours and `known` others.

        They do not run: nothing happens but what is asked.
        """
        addresses = [self.address() for _ in range(count)]
        contacts = [Contact(secure_id(each.host, self.dice), each) for each in addresses]
        contacts.sort()
        members = []
        for at, (own, address) in enumerate(contacts):
            saved = SavedTable({Family.IPV4: own})
            member = self.node(addresses=(address,), saved=saved, runs=False)
            near = contacts[max(0, at - _NEIGHBOURS) : at + _NEIGHBOURS + 1]
            others = self.dice.sample(contacts, min(known, count))
            table = member.dht.networks[Family.IPV4].table
            for contact in (*near, *others):
                table.answered(contact, self.loop.time())
            member.dht.warmed()
            members.append(member)
        return members

    def leave(self, address: Address) -> None:
        dht = self.nodes[address]
        for each in [each for each, other in self.nodes.items() if other is dht]:
            del self.nodes[each]
        task = self._running.pop(address, None)
        if task is not None:
            task.cancel()
        dht.close()

    async def close(self) -> None:
        tasks = list(self._running.values())
        for dht in set(self.nodes.values()):
            dht.close()
        for task in tasks:
            task.cancel()
        self._running.clear()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _send(self, data: bytes, ours: Sequence[Address], to: Address) -> None:
        if len(data) > _CARRIED:
            raise LocalProtocolError(f"a datagram of {len(data)} bytes would be cut")
        self.sent += 1
        if not self.loss or self.dice.random() >= self.loss:
            own = next(each for each in ours if (":" in each.host) == (":" in to.host))
            self.loop.call_later(self.delay, self._deliver, data, own, to)

    def _deliver(self, data: bytes, sender: Address, to: Address) -> None:
        node = self.nodes.get(to)
        if node is not None:
            try:
                node.got(data, sender)
            except RemoteError as error:
                raise LocalProtocolError(f"a node said what no node reads: {error}") from error


async def _as_they_are(named: Sequence[Address]) -> Sequence[Address]:
    return named
