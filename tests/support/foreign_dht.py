"""libtorrent's DHT on loopback, in threads of its own, beside a node of ours on a real port."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from hashlib import sha512
from random import Random
from typing import Any, NamedTuple

import libtorrent as lt

from p2pswarm.discovery.dht.dht import Dht
from p2pswarm.discovery.dht.keeping import Keeping
from p2pswarm.formats.ids import Address
from p2pswarm.formats.signing import SigningKey
from p2pswarm.net.port import Port
from p2pswarm.wire.krpc import NodeId, family_of
from p2pswarm.wire.sniff import DatagramGuest
from tests.support.patience import PATIENCE

__all__ = ["LibtorrentDht", "Ours", "StartDht", "libtorrent", "ours"]

HOST = "127.0.0.1"
_SETTINGS: dict[str, Any] = {
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
async def ours(host: str = HOST, bootstrap: Sequence[Address] = ()) -> AsyncIterator[Ours]:
    port, loop, dice = Port(host, 0), asyncio.get_running_loop(), Random()
    port.route_datagrams(DatagramGuest.DHT, lambda data, address: dht.got(data, address))
    await port.open()
    dht = Dht(
        port.send_datagram,
        families=[family_of(Address(host, 1))],
        dice=dice,
        clock=loop.time,
        later=loop.call_later,
        bootstrap=bootstrap,
    )
    keeping = Keeping(dht, clock=loop.time, dice=dice)
    running = loop.create_task(dht.run())
    try:
        yield Ours(dht, keeping, Address(host, port.number))
    finally:
        dht.close()
        running.cancel()
        await asyncio.wait([running])
        await port.close()


class LibtorrentDht:
    """Alone, or beside the node that it is told to begin with. Its methods wait for what they tell."""

    def __init__(self, bootstrap: Address | None = None) -> None:
        nodes = "" if bootstrap is None else str(bootstrap)
        self._host = HOST if bootstrap is None else bootstrap.host
        settings = {"listen_interfaces": str(Address(self._host, 0)), "dht_bootstrap_nodes": nodes}
        self._session = lt.session({**_SETTINGS, **settings})

    @property
    def address(self) -> Address:
        return Address(self._host, self._session.listen_port())

    def wait_for(self, kind: type[Any], within: float = PATIENCE) -> Any:
        """The next alert of this kind."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            self._session.wait_for_alert(100)
            for alert in self._session.pop_alerts():
                if isinstance(alert, kind):
                    return alert
        raise AssertionError(f"libtorrent tells no {kind.__name__}")

    def put(self, value: object) -> NodeId:
        target = self._session.dht_put_immutable_item(value)
        self.wait_for(lt.dht_put_alert)
        return NodeId(target.to_bytes())

    def put_as(self, key: SigningKey, value: bytes, salt: bytes) -> None:
        self._session.dht_put_mutable_item(_expanded(key), key.public, value, salt)
        self.wait_for(lt.dht_put_alert)

    def get(self, target: bytes) -> object:
        self._session.dht_get_immutable_item(lt.sha1_hash(target))
        return self.wait_for(lt.dht_immutable_item_alert).item

    def get_of(self, key: bytes, salt: bytes) -> tuple[object, int]:
        """Value and number."""
        self._session.dht_get_mutable_item(key, salt)
        alert = self.wait_for(lt.dht_mutable_item_alert)
        return alert.item, alert.seq

    def announce(self, info_hash: bytes, port: int) -> None:
        self._session.dht_announce(lt.sha1_hash(info_hash), port, 0)

    def peers(self, info_hash: bytes) -> set[Address]:
        """What one node answers it, of those that know any."""
        self._session.dht_get_peers(lt.sha1_hash(info_hash))
        alert = self.wait_for(lt.dht_get_peers_reply_alert)
        return {Address(*each) for each in alert.peers()}

    def sample(self, of: Address) -> tuple[list[bytes], int, int]:
        """Info-hashes, how many there are, and seconds until others may be named."""
        self._session.dht_sample_infohashes(tuple(of), lt.sha1_hash(bytes(20)))
        alert = self.wait_for(lt.dht_sample_infohashes_alert)
        samples = [each.to_bytes() for each in alert.samples]
        return samples, alert.num_infohashes, int(alert.interval.total_seconds())


def libtorrent(bootstrap: Address) -> LibtorrentDht:
    """In the DHT."""
    node = LibtorrentDht(bootstrap)
    node.wait_for(lt.dht_bootstrap_alert)
    return node


StartDht = Callable[[Address], LibtorrentDht]


def _expanded(key: SigningKey) -> bytes:
    """The secret as libtorrent has it: not the seed, but what RFC 8032 makes of it."""
    secret = bytearray(sha512(key.seed).digest())
    secret[0] &= 248
    secret[31] = secret[31] & 63 | 64
    return bytes(secret)
