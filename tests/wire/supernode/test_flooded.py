"""What is flooded and indexed: bounds, heads that are read alone, and cutting what is too long."""

import pytest
from hypothesis import given, strategies as st

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.formats.words import Kind
from p2pswarm.wire.supernode.frames import MOST, FrameKind
from p2pswarm.wire.supernode.hits import Found, Hits
from p2pswarm.wire.supernode.hosts import Entry, Hosts
from p2pswarm.wire.supernode.queries import Query
from p2pswarm.wire.supernode.shares import Share, SharedFile, Unshare
from tests.support.supernode_wire import found as founds, queries, shared_files

GUID = bytes(range(16))
HERE = Address("1.2.3.4", 6346)
FILE = SharedFile(1, 2, "a")
QUERY = Query(GUID, 7, 0, ("blue",))
LONGEST = SharedFile(0, 0, "n" * 255, bytes(20), bytes(24), InfoHash(bytes(20)))


def changed(body: bytes, at: int, data: bytes) -> bytes:
    return body[:at] + data + body[at + len(data) :]


# Queries


@given(queries)
def test_a_head_is_read_and_changed_without_the_rest(query: Query) -> None:
    body = query.encode().body
    assert Query.head(body) == (query.guid, query.ttl, query.hops)
    if query.ttl == 0 or query.hops == 255:
        with pytest.raises(LocalProtocolError):
            Query.hopped(body)
        return
    on = Query.hopped(body)
    assert on.kind == FrameKind.QUERY
    assert Query.head(on.body) == (query.guid, query.ttl - 1, query.hops + 1)
    assert on.body[18:] == body[18:]


def test_a_ttl_that_says_too_much_is_cut() -> None:
    body = Query(GUID, 255, 2).encode().body
    assert Query.head(Query.hopped(body, 5).body) == (GUID, 4, 3)
    with pytest.raises(LocalProtocolError):
        Query.hopped(body, 0)


@pytest.mark.parametrize("size", range(39))
def test_half_a_query(size: int) -> None:
    body = QUERY.encode().body[:size]
    with pytest.raises(RemoteProtocolError):
        Query.read(body)
    if size < 18:
        with pytest.raises(RemoteProtocolError):
            Query.head(body)
        with pytest.raises(RemoteProtocolError):
            Query.hopped(body)


@pytest.mark.parametrize(
    ("at", "data"),
    [
        (18, b"\x07"),  # a kind of file
        (19, b"\x04"),  # a hash
        (20, b"\x00"),  # how many are wanted
        (20, b"\xc9"),
        (21, b"\x80" + bytes(7)),
        (29, b"\x80" + bytes(7)),
        (29, b"\xff" * 7 + b"\xfe"),
        (37, b"\x00\x05"),  # words beyond the end
        (39, b" lue"),
        (39, b"blu "),
        (39, b"b  e"),
        (39, b"bl\x00e"),
        (39, b"bl\xc2\x85"),
        (39, b"b\xe3\x80\x80"),  # a blank of Japan
        (39, b"blu\xff"),
    ],
)
def test_queries_that_cannot_be(at: int, data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        Query.read(changed(QUERY.encode().body, at, data))


@pytest.mark.parametrize("length", [0, 4])
def test_words_have_bounds(length: int) -> None:
    start = QUERY.encode().body[:37] + length.to_bytes(2, "big") + b"blue"[:length]
    for rest in (b"x" * 65, b"x " * 64 + b"x", b"xy " * 400):
        with pytest.raises(RemoteProtocolError):
            Query.read(start + rest)
    assert Query.read(start + b"x " * 63 + b"x").without == ("x",) * 64


@pytest.mark.parametrize(
    "query",
    [
        Query(b"short", 7, 0),
        Query(GUID, 256, 0),
        Query(GUID, -1, 0),
        Query(GUID, 0, 256),
        Query(GUID, 7, 0, ("",)),
        Query(GUID, 7, 0, ("a", "", "b")),
        Query(GUID, 7, 0, ("a b",)),
        Query(GUID, 7, 0, ("a\tb",)),
        Query(GUID, 7, 0, (), ("a\x1bb",)),
        Query(GUID, 7, 0, ("\ud800",)),
        Query(GUID, 7, 0, ("x" * 65,)),
        Query(GUID, 7, 0, ("x",) * 65),
        Query(GUID, 7, 0, ("x" * 64,) * 10, ("x" * 64,) * 10),
        Query(GUID, 7, 0, min_size=-1),
        Query(GUID, 7, 0, min_size=1 << 63),
        Query(GUID, 7, 0, max_size=-1),
        Query(GUID, 7, 0, max_size=1 << 63),
        Query(GUID, 7, 0, digest=("md5", bytes(16))),
        Query(GUID, 7, 0, digest=("sha1", bytes(24))),
        Query(GUID, 7, 0, want=0),
        Query(GUID, 7, 0, want=201),
    ],
)
def test_queries_of_ours_that_cannot_be(query: Query) -> None:
    with pytest.raises(LocalProtocolError):
        query.encode()


def test_kinds_of_files_keep_their_numbers() -> None:
    numbers = {kind: Query(GUID, 1, 0, kind=kind).encode().body[18] for kind in Kind}
    assert list(numbers.values()) == list(range(7))
    assert numbers[Kind.ANY] == 0
    assert numbers[Kind.SOFTWARE] == 6


# Hits


@given(st.lists(founds, min_size=1, max_size=3).map(tuple), st.integers(0, 255))
def test_hits_are_passed_on_without_the_rest(found: tuple[Found, ...], hops: int) -> None:
    body = Hits(GUID, hops, found).encode().body
    assert Hits.head(body) == (GUID, hops)
    if hops == 255:
        with pytest.raises(LocalProtocolError):
            Hits.hopped(body)
    else:
        assert Hits.read(Hits.hopped(body).body) == Hits(GUID, hops + 1, found)


@pytest.mark.parametrize("size", [0, 16, 17, 18, 34, 35, 40, 41, 54, 55])
def test_half_a_hit(size: int) -> None:
    body = Hits(GUID, 0, (Found(HERE, GUID, False, None, (FILE,)),)).encode().body
    assert len(body) == 56
    with pytest.raises(RemoteProtocolError):
        Hits.read(body[:size])
    if size < 17:
        with pytest.raises(RemoteProtocolError):
            Hits.hopped(body[:size])


@pytest.mark.parametrize(
    ("at", "data"),
    [
        (17, b"\x10"),  # flags of tomorrow
        (17, b"\x08"),  # no parent, but of IPv6
        (17, b"\x04"),  # a host of IPv6, for which there is no room
        (34, b"\x00"),  # no files
        (34, b"\x02"),
        (45, b"\x80"),  # a size below zero
        (53, b"\x08"),  # a hash of tomorrow
        (54, b"\x00"),  # no name
        (55, b"\x7f"),
    ],
)
def test_hits_that_cannot_be(at: int, data: bytes) -> None:
    body = Hits(GUID, 0, (Found(HERE, GUID, False, None, (FILE,)),)).encode().body
    with pytest.raises(RemoteProtocolError):
        Hits.read(changed(body, at, data))


@pytest.mark.parametrize(
    "hits",
    [
        Hits(GUID, 0, ()),
        Hits(b"short", 0, (Found(HERE, GUID, False, None, (FILE,)),)),
        Hits(GUID, 256, (Found(HERE, GUID, False, None, (FILE,)),)),
        Hits(GUID, 0, (Found(HERE, b"short", False, None, (FILE,)),)),
        Hits(GUID, 0, (Found(HERE, GUID, False, None, ()),)),
        Hits(GUID, 0, (Found(HERE, GUID, False, None, (FILE,) * 256),)),
        Hits(GUID, 0, (Found(Address("a.name", 1), GUID, False, None, (FILE,)),)),
        Hits(GUID, 0, (Found(HERE, GUID, False, Address("::1", -1), (FILE,)),)),
    ],
)
def test_hits_of_ours_that_cannot_be(hits: Hits) -> None:
    with pytest.raises(LocalProtocolError):
        hits.encode()


@given(
    st.lists(st.tuples(founds, st.integers(0, 400)), max_size=4),
    st.sampled_from((FILE, LONGEST)),
)
def test_many_hits_take_several_frames(many: list[tuple[Found, int]], file: SharedFile) -> None:
    told = [
        Found(one.host, one.node, one.firewalled, one.supernode, (file,) * count)
        for one, count in many
    ]
    read = [Hits.read(hits.encode().body) for hits in Hits.pack(GUID, 1, told)]
    got = [(one.host, file) for hits in read for one in hits.found for file in one.files]
    assert got == [(one.host, file) for one in told for file in one.files]
    assert all(hits.encode().encode() for hits in read)
    total = sum(len(hits.encode().body) for hits in read)
    assert len(read) <= 1 + 2 * total // MOST[FrameKind.HITS]


# Shares


@given(st.lists(shared_files, max_size=20), st.integers(1, 40))
def test_many_files_take_several_frames(files: list[SharedFile], times: int) -> None:
    many = [*files * times, *[LONGEST] * times * 10]
    frames = [share.encode() for share in Share.pack(many)]
    assert [file for frame in frames for file in Share.read(frame.body).files] == many
    assert all(frame.encode() for frame in frames)
    total = sum(len(frame.body) for frame in frames)
    assert len(frames) <= 1 + total // (MOST[FrameKind.SHARE] - 400)


def test_no_files_take_no_frame() -> None:
    assert list(Share.pack([])) == []
    assert list(Hits.pack(GUID, 0, [])) == []
    assert list(Hits.pack(GUID, 0, [Found(HERE, GUID, False, None, ())])) == []


def test_withdrawing_nothing_is_not_withdrawing_everything() -> None:
    assert list(Unshare.pack([])) == []
    assert Unshare.read(b"") == Unshare()


def test_many_numbers_take_several_frames() -> None:
    frames = [unshare.encode() for unshare in Unshare.pack(range(20_000))]
    assert [number for frame in frames for number in Unshare.read(frame.body).numbers] == list(
        range(20_000)
    )
    assert all(frame.encode() and frame.body for frame in frames)
    assert len(frames) == 3


@pytest.mark.parametrize("numbers", [(-1,), (1 << 32,)])
def test_numbers_that_cannot_be(numbers: tuple[int, ...]) -> None:
    with pytest.raises(LocalProtocolError):
        Unshare(numbers).encode()


@pytest.mark.parametrize("size", range(1, len(LONGEST.name) + 78))
def test_half_a_file(size: int) -> None:
    body = Share((LONGEST,)).encode().body
    assert len(body) == 333
    with pytest.raises(RemoteProtocolError):
        Share.read(body[:size])


@pytest.mark.parametrize(
    "file",
    [
        FILE._replace(number=-1),
        FILE._replace(number=1 << 32),
        FILE._replace(size=-1),
        FILE._replace(size=1 << 63),
        FILE._replace(name=""),
        FILE._replace(name="n" * 256),
        FILE._replace(name="é" * 128),
        FILE._replace(name="a\nb"),
        FILE._replace(name="a\u2028b"),
        FILE._replace(name="\udcff"),  # a name on a disk that is not UTF-8
        FILE._replace(sha1=b""),
        FILE._replace(sha1=bytes(19), tth=bytes(25)),
        FILE._replace(tth=bytes(20)),
    ],
)
def test_files_of_ours_that_cannot_be(file: SharedFile) -> None:
    with pytest.raises(LocalProtocolError):
        Share((file,)).encode()


def test_the_largest_share_is_a_bounded_number_of_files() -> None:
    one = Share((FILE,)).encode().body
    most = MOST[FrameKind.SHARE] // len(one)
    assert len(Share.read(one * most).files) == most == 2184


# Hosts


def test_minutes_end_at_255() -> None:
    (entry,) = Hosts.read(Hosts((Entry(HERE, 1000, 0),)).encode().body).entries
    assert entry.minutes == 255


def test_those_of_ipv4_come_first_and_ipv4_in_disguise_is_one() -> None:
    six, mapped = Address("2001:DB8::1", 2), Address("::ffff:1.2.3.4", 6346)
    body = Hosts((Entry(six, 0, 0), Entry(mapped, 0, 0))).encode().body
    assert [entry.address for entry in Hosts.read(body).entries] == [HERE, six.normal]
    disguised = b"\0\1" + bytes(10) + b"\xff\xff\1\2\3\4" + (6346).to_bytes(2, "big") + b"\0\0"
    assert Hosts.read(disguised).entries == (Entry(HERE, 0, 0),)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0",
        b"\1\0",
        b"\0\1",
        b"\0\0\0",
        b"\1" + bytes(8),
        b"\1" + bytes(7) + b"\x65\0",  # 101 % full
        b"\0\1" + bytes(19) + b"\x65",
        b"\xc9" + bytes(201 * 8) + b"\0",
        b"\x64" + bytes(100 * 8) + b"\x65" + bytes(101 * 20),
    ],
)
def test_lists_that_cannot_be(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        Hosts.read(body)


@pytest.mark.parametrize(
    "entries",
    [
        (Entry(HERE, 0, 0),) * 201,
        (Entry(HERE, -1, 0),),
        (Entry(HERE, 0, -1),),
        (Entry(HERE, 0, 101),),
        (Entry(Address("a.name", 1), 0, 0),),
    ],
)
def test_lists_of_ours_that_cannot_be(entries: tuple[Entry, ...]) -> None:
    with pytest.raises(LocalProtocolError):
        Hosts(entries).encode()
