"""What the people protocol's messages are made of, at random."""

from hypothesis import strategies as st

from p2pswarm.formats.ids import InfoHash
from p2pswarm.wire.people.dictionary import PeopleMessage, TokenMessage
from p2pswarm.wire.people.finding import (
    MAX_HOPS,
    MAX_NEGATIVE_TTL,
    MAX_SEQ,
    MAX_TTL,
    Fault,
    Find,
    Found,
    Put,
    Referral,
    Rejected,
    Stored,
    Unknown,
)
from p2pswarm.wire.people.hello import Bye, Hello, Ping, Pong, Reason, Refuse, Want, Welcome
from p2pswarm.wire.people.nodes import Prefix, SuperNode
from p2pswarm.wire.people.relaying import Meet, Mode, Ready, Relay, Swarm
from p2pswarm.wire.people.ringing import Answer, Cancel, Decline, No, Prove, Proved, Ring, Rung
from p2pswarm.wire.people.slots import (
    Differs,
    Digest,
    Gossip,
    Gossiped,
    Held,
    Part,
    Revoked,
    Seat,
    Slot,
)
from tests.support.supernode_wire import U16, U63, addresses, ports, texts

__all__ = ["directory_messages", "messages", "prefixes", "super_nodes"]


def some(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


def _cut(length: int, bits: int) -> Prefix:
    return Prefix(length, bits >> (32 - length))


prefixes: st.SearchStrategy[Prefix] = st.builds(
    _cut, st.integers(0, 32), st.integers(0, (1 << 32) - 1)
)
super_nodes: st.SearchStrategy[SuperNode] = st.builds(SuperNode, some(16), addresses, prefixes)
nodes: st.SearchStrategy[tuple[SuperNode, ...]] = st.lists(super_nodes, max_size=4).map(tuple)
places = st.lists(addresses, max_size=4).map(tuple)
hashes = st.lists(some(20).map(InfoHash), max_size=4).map(tuple)
bodies = st.binary(min_size=1, max_size=80)
ttls, hops, inside = st.integers(0, MAX_TTL), st.integers(0, MAX_HOPS), st.integers(0, 1000)
flags = st.booleans()
seqs, members = st.integers(0, MAX_SEQ), st.integers(0, 255)
gossip = (some(8), some(16), prefixes, members, addresses, nodes, seqs, flags)
held = st.lists(st.builds(Held, some(32), seqs), max_size=4).map(tuple)
sums = st.just(()) | st.lists(some(8), min_size=16, max_size=16).map(tuple)

directory_messages: st.SearchStrategy[TokenMessage] = st.one_of(
    st.builds(Find, some(8), some(32), flags, hops),
    st.builds(Found, some(8), bodies, ttls, flags, hops, inside),
    st.builds(Referral, some(8), nodes, prefixes),
    st.builds(
        Unknown, some(8), st.integers(0, MAX_NEGATIVE_TTL), flags, prefixes, nodes, hops, inside
    ),
    st.builds(Put, some(8), bodies, ttls, flags, flags),
    st.builds(Stored, some(8), st.integers(0, 64), st.integers(1, 64)),
    st.builds(Rejected, some(8), st.sampled_from(Fault), seqs),
    st.builds(Seat, some(8), st.builds(Prefix, st.just(32), st.integers(0, (1 << 32) - 1))),
    st.builds(Slot, some(8), prefixes, members, addresses, nodes),
    st.builds(Gossip, *gossip),
    st.builds(Gossiped, *gossip),
    st.builds(Digest, some(8), prefixes, seqs, some(8)),
    st.builds(Differs, some(8), flags, sums, held),
    st.builds(Revoked, some(8), st.integers(0, 1 << 16)),
    st.builds(
        Part,
        some(8),
        seqs,
        st.integers(0, 1 << 16),
        st.integers(0, 1 << 16),
        st.binary(max_size=80),
    ),
)
messages: st.SearchStrategy[PeopleMessage] = st.one_of(
    directory_messages,
    st.builds(Hello, some(16), st.sampled_from(Want), ports, st.integers(1, U16)),
    st.builds(Welcome, some(16), addresses, some(32), flags),
    st.builds(Refuse, st.sampled_from(Reason), texts, nodes),
    st.builds(Bye, texts, nodes),
    st.sampled_from([Ping(), Pong(), Proved()]),
    st.builds(Prove, bodies, addresses, some(64)),
    st.builds(Ring, some(32), some(16), bodies),
    st.builds(Rung, some(16), bodies),
    st.builds(Answer, some(16), bodies),
    st.builds(Decline, some(16), st.sampled_from(No)),
    st.builds(Cancel, some(16)),
    st.builds(Relay, some(16), some(32), st.sampled_from(Mode)),
    st.builds(Ready, some(8), some(4), st.integers(0, U63), addresses),
    st.builds(Swarm, hashes, places),
    st.builds(Meet, some(20).map(InfoHash), some(16), some(32), places),
)
