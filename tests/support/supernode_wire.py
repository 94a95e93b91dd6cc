"""What the supernode protocol's messages are made of, at random."""

from hypothesis import strategies as st

from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.formats.words import Kind
from p2pswarm.wire.supernode.hello import Bye, Hello, Reason, Refuse, Want, Welcome
from p2pswarm.wire.supernode.hits import Found, Hits
from p2pswarm.wire.supernode.hosts import Entry, Hosts
from p2pswarm.wire.supernode.keeping import Ping, Pong
from p2pswarm.wire.supernode.pushing import Push
from p2pswarm.wire.supernode.queries import End, Query, Stop
from p2pswarm.wire.supernode.shares import Share, SharedFile, Unshare
from p2pswarm.wire.supernode.testing import Data, Invite, Probe, Test, Verdict
from tests.support.supernode_reading import Message

__all__ = ["addresses", "entries", "found", "guids", "messages", "queries", "shared_files", "texts"]

U16, U32, U63 = 0xFFFF, 0xFFFF_FFFF, (1 << 63) - 1


def _undressed(address: Address) -> Address:
    return address.normal


def _in_order(entries: list[Entry]) -> tuple[Entry, ...]:
    """IPv4 first, as they are read."""
    return tuple(sorted(entries, key=lambda entry: ":" in entry.address.host))


_characters = st.characters(
    codec="utf-8", exclude_categories=["Cc"], exclude_characters="\u2028\u2029"
)
guids = st.binary(min_size=16, max_size=16)
hashes = st.binary(min_size=20, max_size=20)
tiger_roots = st.binary(min_size=24, max_size=24)
addresses: st.SearchStrategy[Address] = st.builds(
    Address, st.ip_addresses().map(str), st.integers(0, U16)
).map(_undressed)
ports = st.integers(1, U16)
counts = st.integers(0, U16)
percents = st.integers(0, 100)
bytes_ = st.integers(0, 255)
sizes = st.integers(0, U63)
numbers = st.integers(0, U32)
agents: st.SearchStrategy[str] = st.text(_characters, max_size=16)
texts: st.SearchStrategy[str] = st.text(_characters, max_size=60)
names: st.SearchStrategy[str] = st.text(_characters, min_size=1, max_size=60)
words: st.SearchStrategy[tuple[str, ...]] = st.lists(
    st.from_regex(r"\w{1,10}", fullmatch=True), max_size=8
).map(tuple)
entries: st.SearchStrategy[tuple[Entry, ...]] = st.lists(
    st.builds(Entry, addresses, bytes_, percents), max_size=5
).map(_in_order)
shared_files: st.SearchStrategy[SharedFile] = st.builds(
    SharedFile,
    numbers,
    sizes,
    names,
    st.none() | hashes,
    st.none() | tiger_roots,
    st.none() | hashes.map(InfoHash),
)
found: st.SearchStrategy[Found] = st.builds(
    Found,
    addresses,
    guids,
    st.booleans(),
    st.none() | addresses,
    st.lists(shared_files, min_size=1, max_size=4).map(tuple),
)
digests = (
    st.tuples(st.sampled_from(("sha1", "btih")), hashes)
    | st.tuples(st.just("tth"), tiger_roots)
    | st.none()
)
queries: st.SearchStrategy[Query] = st.builds(
    Query,
    guids,
    bytes_,
    bytes_,
    words,
    words,
    st.sampled_from(Kind),
    sizes,
    st.none() | sizes,
    digests,
    st.integers(1, 200),
)
_hellos = st.builds(
    Hello,
    guids,
    ports,
    st.sampled_from((Want.PARENT, Want.LINK, Want.VISIT)),
    agents,
    st.booleans(),
    st.booleans(),
    version=st.integers(1, U16),
) | st.builds(
    Hello, guids, ports, st.just(Want.TEST), agents, st.booleans(), st.booleans(), nonce=guids
)

messages: st.SearchStrategy[Message] = st.one_of(
    _hellos,
    st.builds(Welcome, guids, ports, agents, addresses, st.booleans(), counts, counts, counts),
    st.builds(Refuse, st.sampled_from(Reason), texts, entries, st.booleans()),
    st.builds(Bye, texts, entries),
    st.just(Ping()),
    st.builds(Pong, percents, counts, counts, percents),
    st.builds(Hosts, entries),
    st.builds(Share, st.lists(shared_files, max_size=5).map(tuple)),
    st.builds(Unshare, st.lists(numbers, max_size=5).map(tuple)),
    queries,
    st.builds(Hits, guids, bytes_, st.lists(found, min_size=1, max_size=3).map(tuple)),
    st.builds(End, guids, numbers, entries),
    st.builds(Stop, guids),
    st.builds(Push, guids, numbers, addresses),
    st.builds(Invite, entries),
    st.builds(Test, ports, guids),
    st.builds(Verdict, st.booleans(), sizes, texts),
    st.builds(Probe, st.integers(1, 64 << 10), guids),
    st.builds(Data, st.binary(max_size=200)),
)
"""Any of them."""
