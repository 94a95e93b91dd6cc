"""What two neighbours are to each other, and what each brings to a greeting. Sans-IO."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from p2pswarm.errors import NetworkError
from p2pswarm.formats.ids import Address

__all__ = [
    "FLAT_TTL",
    "MAX_TTL",
    "MOST_DEGREE",
    "OLD_DEGREE",
    "Agreement",
    "RefusedGreetingError",
    "Role",
    "Standing",
    "Tries",
]

MAX_TTL = 4  # of a query between ultrapeers, "never > 4" (dynamic query protocol, X-Max-TTL)
FLAT_TTL = 7  # of a query where every node is equal (Gnutella 0.4)
MOST_DEGREE = 200  # links of an ultrapeer, as far as we believe what it says
OLD_DEGREE = 6  # links of an ultrapeer that does not say how many it has


class Role(Enum):
    """What a node is to its neighbours."""

    LEAF = "leaf"
    ULTRAPEER = "ultrapeer"
    PEER = "peer"  # one among equals: the flat network, and whoever knows nothing of ultrapeers


class Tries(NamedTuple):
    """Whom else to dial, as one side tells: ultrapeers, and others for when there is none."""

    ultrapeers: tuple[Address, ...] = ()
    others: tuple[Address, ...] = ()


_NO_TRIES = Tries()


class RefusedGreetingError(NetworkError):
    """One side does not want the other; `tries` are the addresses it named instead."""

    def __init__(self, code: int, reason: str, tries: Tries = _NO_TRIES) -> None:
        super().__init__(f"{code} {reason}")
        self.code, self.reason, self.tries = code, reason, tries


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Who we are at the moment of a greeting."""

    role: Role
    guid: bytes
    port: int = 0
    """Where we can be dialed; 0: nowhere."""
    leaf_slots: int = 0
    """Places that are free; those of ultrapeers are for equals too."""
    ultrapeer_slots: int = 0
    needed: bool = True
    """Whether more ultrapeers are."""
    may_lead: bool = False
    """We are a leaf that can be an ultrapeer, and have none."""
    may_follow: bool = False
    """We are an ultrapeer that nobody relies on."""
    degree: int = 0
    """How many ultrapeers we have when we have enough."""
    guess: bool = False
    """Questions by UDP are answered."""
    deflate: bool = True
    legacy: bool = False
    """Gnutella 0.4 is answered."""
    since: str = ""
    tries: Collection[Address] = ()
    """Ultrapeers to try instead of us, and others; for crawlers our neighbours."""
    others: Collection[Address] = ()
    peers: Collection[Address] = ()
    leaves: Collection[Address] = ()
    known: Collection[bytes] = ()
    """GUIDs of those we have a link to; addresses that we dial."""
    dialing: Collection[Address] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What two neighbours may rely on."""

    ours: Role
    theirs: Role
    inflate: bool = False
    """What they send is deflated; what we send is."""
    deflate: bool = False
    address: Address | None = None
    """Where they listen."""
    seen_as: str = ""
    """The host that they see us at."""
    agent: str = ""
    guid: bytes | None = None
    degree: int = OLD_DEGREE
    max_ttl: int = FLAT_TTL
    dynamic: bool = False
    ext_probes: bool = False
    query_routing: bool = False
    """They read query routing tables: of a leaf, or of an ultrapeer to an ultrapeer."""
    pong_caching: bool = False
    vendor_messages: bool = False
    bye: bool = False
    guess: bool = False
    tries: Tries = _NO_TRIES
