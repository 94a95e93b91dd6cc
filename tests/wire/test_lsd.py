import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import InfoHash
from p2pswarm.wire.lsd import GROUPS, MAX_SEARCH, LocalSearch, searches

A, B = InfoHash(b"\xaa" * 20), InfoHash(bytes(range(20)))
hashes = st.lists(st.binary(min_size=20, max_size=20).map(InfoHash), max_size=60, unique=True)


def test_it_is_written_as_bep_14_says() -> None:
    assert LocalSearch(6881, [A], "me").encode(GROUPS[0]) == (
        b"BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 6881\r\n"
        b"Infohash: " + b"AA" * 20 + b"\r\ncookie: me\r\n\r\n\r\n"
    )
    assert b"Host: [ff15::efc0:988f]:6771\r\n" in LocalSearch(1, [A]).encode(GROUPS[1])


@settings(max_examples=40)
@given(hashes, st.integers(1, 65535))
def test_any_number_of_torrents_survives_the_wire(all_of_them: list[InfoHash], port: int) -> None:
    heard: list[InfoHash] = []
    for search in searches(port, all_of_them, "c" * 8):
        data = search.encode(GROUPS[1])
        assert len(data) <= MAX_SEARCH
        there = LocalSearch.decode(data)
        assert (there.port, there.cookie) == (port, "c" * 8)
        heard += there.info_hashes
    assert heard == all_of_them


def test_it_is_read_however_others_write_it() -> None:
    text = "BT-SEARCH * HTTP/1.1\nhost:x\nPORT:  80 \nINFOHASH: " + B.hex() + "\nodd line\n"
    text += "Infohash: 12\nInfohash: " + "zz" * 20 + "\nInfohash: " + B.hex().upper() + "\n"
    assert LocalSearch.decode(text.encode()) == LocalSearch(80, (B,), "")


@pytest.mark.parametrize(
    "odd",
    [
        b"",
        b"M-SEARCH * HTTP/1.1\r\nPort: 1\r\n\r\n",
        b"BT-SEARCH * HTTP/1.1\r\n\r\n",
        b"BT-SEARCH * HTTP/1.1\r\nPort: 0\r\n\r\n",
        b"BT-SEARCH * HTTP/1.1\r\nPort: 65536\r\n\r\n",
        b"BT-SEARCH * HTTP/1.1\r\nPort: 1\r\n" + b"x" * MAX_SEARCH,
    ],
    ids=range(6),
)
def test_what_says_nothing_is_the_senders_fault(odd: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        LocalSearch.decode(odd)


@settings(max_examples=60)
@given(
    st.binary(max_size=60)
    | st.lists(
        st.sampled_from([b"Port: 5", b"Infohash: ", b"ab" * 20, b"\r\n", b"\xff", b":"])
    ).map(lambda parts: b"BT-SEARCH * HTTP/1.1\r\n" + b"".join(parts))
)
def test_any_bytes_are_a_search_or_a_fault(data: bytes) -> None:
    try:
        search = LocalSearch.decode(data)
    except RemoteProtocolError:
        return
    assert LocalSearch.decode(search.encode(GROUPS[0])) == search
