"""How large a swarm is, and what swarms there are, asked of the DHT (BEP 33 and 51).

Each is a lookup like that for peers, and joins none of the swarms it hears of.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from p2pswarm.discovery.dht.bloom import BloomFilter
from p2pswarm.formats.ids import InfoHash
from p2pswarm.wire.krpc import GET_PEERS, SAMPLE_INFOHASHES, Contact, NodeId, Query, Reply

if TYPE_CHECKING:
    from p2pswarm.discovery.dht.dht import Dht

__all__ = ["Survey", "SwarmSize", "sample", "scrape"]


@dataclass
class SwarmSize:
    """How many peers the nodes near an info-hash know together, about (BEP 33)."""

    nodes: int = 0
    _seeds: BloomFilter = field(default_factory=BloomFilter)
    _others: BloomFilter = field(default_factory=BloomFilter)

    @property
    def seeds(self) -> int:
        return round(self._seeds.count)

    @property
    def others(self) -> int:
        return round(self._others.count)

    def heard(self, contact: Contact, reply: Reply) -> None:
        if reply.seeds is not None and reply.peers is not None:
            self.nodes += 1
            self._seeds.unite(BloomFilter.decode(reply.seeds))
            self._others.unite(BloomFilter.decode(reply.peers))


async def scrape(dht: "Dht", info_hash: InfoHash) -> SwarmSize:
    """Count the peers of a swarm without a word to any of them."""
    size = SwarmSize()
    await dht.lookup(Query(method=GET_PEERS, info_hash=info_hash, scrape=True), size.heard)
    return size


@dataclass
class Survey:
    """What nodes named when they were asked for a sample (BEP 51)."""

    told: Callable[[InfoHash], None]
    """Called once for each info-hash."""
    info_hashes: set[InfoHash] = field(default_factory=set)
    nodes: int = 0
    known: int = 0
    """How many info-hashes these nodes have together, many of them twice and more."""

    def heard(self, contact: Contact, reply: Reply) -> None:
        if reply.samples is None:
            return
        self.nodes += 1
        self.known += max(reply.count or 0, len(reply.samples))
        for info_hash in reply.samples:
            if info_hash not in self.info_hashes:
                self.info_hashes.add(info_hash)
                self.told(info_hash)


async def sample(dht: "Dht", target: NodeId, told: Callable[[InfoHash], None]) -> Survey:
    """Ask nodes on the way to `target`, and those around it, which info-hashes they have peers for."""
    survey = Survey(told)
    await dht.lookup(Query(method=SAMPLE_INFOHASHES, target=target), survey.heard)
    return survey
