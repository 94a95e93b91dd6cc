"""libtorrent's DHT on loopback, in threads of its own, beside a node of ours on a real port."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha512
from random import Random
from typing import Any, NamedTuple

import libtorrent as lt

from p2pswarm.discovery.dht.dht import Dht
from p2pswarm.discovery.dht.keeping import Keeping
from p2pswarm.discovery.dht.signing import SigningKey
from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.wire.krpc import Family, NodeId
from p2pswarm.wire.sniff import DatagramGuest

__all__ = ["LibtorrentDht", "Ours", "libtorrent", "ours"]

HOST = "127.0.0.1"
_SETTINGS: dict[str, Any] = {
    "listen_interfaces": f"{HOST}:0",
    "enable_dht": True,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "dht_restrict_routing_ips": False,  # several nodes on one host
    "dht_restrict_search_ips": False,
    "dht_ignore_dark_internet": False,
    "dht_enforce_node_id": False,
    "dht_prefer_verified_node_ids": False,
    "alert_mask": int(
        lt.alert.category_t.dht_notification
        | lt.alert.category_t.dht_operation_notification
        | lt.alert.category_t.status_notification
    ),
}


class Ours(NamedTuple):
    """A node of ours, and where it is."""

    dht: Dht
    keeping: Keeping
    address: Address


@asynccontextmanager
async def ours() -> AsyncIterator[Ours]:
    port, loop, dice = Port(HOST, 0), asyncio.get_running_loop(), Random(1)
    port.route_datagrams(DatagramGuest.DHT, lambda data, address: dht.got(data, address))
    await port.open()
    dht = Dht(
        port.send_datagram,
        families=[Family.IPV4],
        dice=dice,
        clock=loop.time,
        later=loop.call_later,
    )
    keeping = Keeping(dht, clock=loop.time, dice=dice)
    try:
        yield Ours(dht, keeping, Address(HOST, port.number))
    finally:
        dht.close()
        await port.close()


class LibtorrentDht:
    """Alone, or beside the node that it is told to begin with."""

    def __init__(self, bootstrap: Address | None = None) -> None:
        nodes = "" if bootstrap is None else str(bootstrap)
        self._session = lt.session({**_SETTINGS, "dht_bootstrap_nodes": nodes})

    @property
    def address(self) -> Address:
        return Address(HOST, self._session.listen_port())

    async def heard(self, kind: type[Any], within: float = 10.0) -> Any:
        """The next alert of this kind."""
        return await asyncio.to_thread(self.wait_for, kind, within)

    def wait_for(self, kind: type[Any], within: float = 10.0) -> Any:
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            self._session.wait_for_alert(100)
            for alert in self._session.pop_alerts():
                if isinstance(alert, kind):
                    return alert
        raise AssertionError(f"libtorrent tells no {kind.__name__}")

    async def put(self, value: object) -> NodeId:
        target = self._session.dht_put_immutable_item(value)
        await self.heard(lt.dht_put_alert)
        return NodeId(target.to_bytes())

    async def put_as(self, key: SigningKey, value: bytes, salt: bytes) -> None:
        self._session.dht_put_mutable_item(_expanded(key), key.public, value, salt)
        await self.heard(lt.dht_put_alert)

    async def get(self, target: bytes) -> object:
        self._session.dht_get_immutable_item(lt.sha1_hash(target))
        return (await self.heard(lt.dht_immutable_item_alert)).item

    async def get_of(self, key: bytes, salt: bytes) -> tuple[object, int]:
        """Value and number."""
        self._session.dht_get_mutable_item(key, salt)
        alert = await self.heard(lt.dht_mutable_item_alert)
        return alert.item, alert.seq

    def announce(self, info_hash: bytes, port: int) -> None:
        self._session.dht_announce(lt.sha1_hash(info_hash), port, 0)

    async def sample(self, of: Address) -> tuple[list[bytes], int, int]:
        """Info-hashes, how many there are, and seconds until others may be named."""
        self._session.dht_sample_infohashes(tuple(of), lt.sha1_hash(bytes(20)))
        alert = await self.heard(lt.dht_sample_infohashes_alert)
        samples = [each.to_bytes() for each in alert.samples]
        return samples, alert.num_infohashes, int(alert.interval.total_seconds())


@asynccontextmanager
async def libtorrent(bootstrap: Address) -> AsyncIterator[LibtorrentDht]:
    """In the DHT, as soon as it knows us."""
    node = LibtorrentDht(bootstrap)
    await node.heard(lt.dht_bootstrap_alert)
    yield node


def _expanded(key: SigningKey) -> bytes:
    """The secret as libtorrent has it: not the seed, but what RFC 8032 makes of it."""
    secret = bytearray(sha512(key.seed).digest())
    secret[0] &= 248
    secret[31] = secret[31] & 63 | 64
    return bytes(secret)
