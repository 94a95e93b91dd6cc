import math
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings, strategies as st

from p2pswarm.errors import FormatError, RemoteProtocolError, TrackerError
from p2pswarm.formats import bencode
from p2pswarm.formats.ids import Address, InfoHash, PeerId, compact
from p2pswarm.wire.tracker import (
    MAX_PEERS,
    MAX_QUERY,
    MAX_REPLY,
    MAX_SCRAPE,
    Announce,
    Counts,
    Event,
    Reply,
    Scrape,
    ScrapeReply,
    encode_failure,
    scrape_url,
)

HASH = InfoHash(bytes(range(236, 256)))
ME = PeerId(b"-PS0100-+ &%=\0\xff?#/;~")
GOOD = {
    "info_hash": "%ec" * 20,
    "peer_id": "%41" * 20,
    "port": "6881",
    "uploaded": "0",
    "downloaded": "0",
    "left": "0",
}

twenty = st.binary(min_size=20, max_size=20)
amounts = st.integers(0, 2**63 - 1)
announces = st.builds(
    Announce,
    info_hash=twenty.map(InfoHash),
    peer_id=twenty.map(PeerId),
    port=st.integers(1, 65535),
    uploaded=amounts,
    downloaded=amounts,
    left=amounts,
    event=st.sampled_from(Event),
    numwant=st.none() | st.integers(0, 10**6),
    key=st.binary(max_size=64),
    compact=st.booleans(),
    no_peer_id=st.booleans(),
    trackerid=st.binary(max_size=256),
)
ipv4 = st.builds(Address, st.ip_addresses(v=4).map(str), st.integers(1, 65535))
ipv6 = st.builds(Address, st.ip_addresses(v=6).map(str), st.integers(1, 65535)).filter(
    lambda a: a.ip is not None and a.ip.version == 6
)
replies = st.builds(
    Reply,
    interval=st.integers(1, 3600),
    min_interval=st.none() | st.integers(1, 3600),
    peers=st.lists(ipv4, max_size=20).map(lambda some: b"".join(map(compact, some))),
    peers6=st.lists(ipv6, max_size=20).map(lambda some: b"".join(map(compact, some))),
    complete=st.none() | amounts,
    incomplete=st.none() | amounts,
    downloaded=st.none() | amounts,
    external_ip=st.sampled_from([b"", b"\x7f\0\0\1", b"\xfe" * 16]),
    trackerid=st.binary(max_size=100),
    warning=st.text("abc é→", max_size=40).map(str.strip),
)


def query(**changes: str | None) -> bytes:
    given = GOOD | changes
    return "&".join(f"{k}={v}" for k, v in given.items() if v is not None).encode()


def reply(**values: object) -> bytes:
    return bencode.encode({k.replace("_", " ").encode(): v for k, v in values.items()})


@given(announces)
def test_an_announce_survives_the_query_string(announce: Announce) -> None:
    assert Announce.from_query(announce.query().encode("ascii")) == announce


def test_the_twenty_raw_bytes_are_escaped_not_their_hex() -> None:
    text = Announce(HASH, ME, 6881).query()
    assert text.startswith("info_hash=%EC%ED%EE")
    assert "peer_id=-PS0100-%2B%20%26%25%3D%00%FF%3F%23%2F%3B~&" in text


@pytest.mark.parametrize(
    ("url", "start"),
    [
        ("http://t/announce", "http://t/announce?info_hash="),
        ("http://t/a/announce?passkey=x", "http://t/a/announce?passkey=x&info_hash="),
        ("http://t/announce?p=%20q#frag", "http://t/announce?p=%20q&info_hash="),
        ("http://t", "http://t?info_hash="),
    ],
)
def test_a_trackers_own_query_is_kept(url: str, start: str) -> None:
    assert Announce(HASH, ME, 1).url(url).startswith(start)


def test_what_is_not_said_is_left_to_the_tracker() -> None:
    announce = Announce.from_query(query(uploaded=None, downloaded=None))
    assert announce.numwant is None
    assert (announce.uploaded, announce.compact, announce.event) == (0, False, Event.NONE)


def test_hints_are_read_and_bounded() -> None:
    assert Announce.from_query(query(ip="1.2.3.4", ipv6="::1")).hints == ("1.2.3.4", "::1")
    with pytest.raises(RemoteProtocolError, match=r"^ip: longer"):
        Announce.from_query(query(ip="1" * 65))


def test_a_plus_is_a_space() -> None:
    assert Announce.from_query(query(key="a+b%2B")).key == b"a b+"


@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        "+1",
        "-1",
        "1_000",
        " 1",
        "1 ",
        "0x1",
        "1.0",
        "1e3",
        "٣",
        "%D9%A3",
        "9" * 19,
        "9" * 5000,
        str(2**63),
    ],
)
@pytest.mark.parametrize("name", ["uploaded", "downloaded", "left", "port", "numwant"])
def test_only_plain_numbers_are_numbers(name: str, nonsense: str) -> None:
    if name == "numwant" and nonsense in ("", "-1"):
        assert Announce.from_query(query(numwant=nonsense)).numwant is None
        return
    with pytest.raises(RemoteProtocolError, match=f"^{name}: "):
        Announce.from_query(query(**{name: nonsense}))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"info_hash": None}, "info_hash: missing"),
        ({"info_hash": "abc"}, "info_hash: 3 bytes instead of 20"),
        ({"info_hash": "e" * 40}, "info_hash: 40 bytes"),
        ({"info_hash": "%zz" * 20}, "info_hash: a bad %-escape"),
        ({"info_hash": "%e"}, "info_hash: a bad %-escape"),
        ({"peer_id": None}, "peer_id: missing"),
        ({"peer_id": "%00" * 21}, "peer_id: 21 bytes"),
        ({"port": None}, "port: missing"),
        ({"port": "0"}, "port: 0 is not"),
        ({"port": "65536"}, "port: 65536 is not"),
        ({"left": None}, "left: missing"),
        ({"event": "exploded"}, "event: "),
        ({"event": "%ff"}, "event: "),
        ({"compact": "2"}, "compact: "),
        ({"no_peer_id": "yes"}, "no_peer_id: "),
        ({"key": "k" * 65}, "key: longer"),
        ({"trackerid": "k" * 257}, "trackerid: longer"),
        ({"port": "1&port=2"}, "port: given twice"),
        ({"x": "y" * MAX_QUERY}, "the query has"),
    ],
)
def test_a_bad_question_is_told_which_parameter(
    changes: dict[str, str | None], complaint: str
) -> None:
    with pytest.raises(RemoteProtocolError, match=f"^{complaint}"):
        Announce.from_query(query(**changes))


@given(
    st.binary(max_size=300)
    | st.text("info_hash=&%0123456789abcdefport", max_size=300).map(str.encode)
)
@example(b"")
@example(b"&&&===&")
@pytest.mark.parametrize("read", [Announce.from_query, Scrape.from_query])
def test_any_query_is_a_question_or_an_error(read: Callable[[bytes], object], data: bytes) -> None:
    try:
        read(data)
    except RemoteProtocolError:
        return


@given(st.data())
@settings(max_examples=50)
def test_any_value_of_any_parameter_is_read_or_refused(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([*GOOD, "event", "numwant", "key", "compact", "ip"]))
    changed = (
        query(**{name: None}) + b"&" + name.encode() + b"=" + data.draw(st.binary(max_size=60))
    )
    try:
        Announce.from_query(changed)
    except RemoteProtocolError:
        return


@given(replies)
def test_a_reply_survives_the_compact_form(answer: Reply) -> None:
    assert Reply.decode(answer.encode()) == answer


@given(replies, st.booleans())
def test_a_reply_survives_the_long_form(answer: Reply, no_peer_id: bool) -> None:
    ids = {answer.peers[at : at + 6]: b"x" * 20 for at in range(0, len(answer.peers), 6)}
    answer.peer_ids = ids
    read = Reply.decode(answer.encode(compact=False, no_peer_id=no_peer_id))
    assert read.peer_ids == ({} if no_peer_id else ids)
    assert (read.peers, read.peers6) == (answer.peers, answer.peers6)


def test_peers_come_in_every_form() -> None:
    v6 = b"\x20\x01" + bytes(13) + b"\1" + b"\x1a\xe1"
    expected = [Address("1.2.3.4", 6881)]
    one = {b"ip": b"1.2.3.4", b"port": 6881, b"peer id": bytes(ME)}
    assert Reply.decode(reply(peers=b"\1\2\3\4\x1a\xe1")).addresses() == expected
    assert Reply.decode(reply(peers=[one])).addresses() == expected
    assert Reply.decode(reply(peers=[one])).peer_ids == {b"\1\2\3\4\x1a\xe1": ME}
    assert Reply.decode(reply(interval=5)).addresses() == []
    assert Reply.decode(reply(peers6=v6)).addresses() == [Address("2001::1", 6881)]
    assert Reply.decode(reply(peers=[one | {b"ip": b"2001::1"}])).peers6 == v6


def test_an_odd_rest_of_a_compact_string_is_ignored() -> None:
    read = Reply.decode(reply(peers=b"\1\2\3\4\x1a\xe1" + b"\5\5\5", peers6=b"\x20" * 17))
    assert read.addresses() == [Address("1.2.3.4", 6881)]


@pytest.mark.parametrize(
    "peer",
    [
        b"1.2.3.4:80",
        7,
        {},
        {b"ip": b"tracker.example", b"port": 80},
        {b"ip": b"\xff\xfe", b"port": 80},
        {b"ip": b"1.2.3", b"port": 80},
        {b"ip": 16909060, b"port": 80},
        {b"ip": b"1.2.3.4"},
        {b"ip": b"1.2.3.4", b"port": b"80"},
        {b"ip": b"1.2.3.4", b"port": 0},
        {b"ip": b"1.2.3.4", b"port": -80},
        {b"ip": b"1.2.3.4", b"port": 65536},
    ],
)
def test_a_peer_that_is_no_address_is_left_out(peer: object) -> None:
    good = {b"ip": b"9.9.9.9", b"port": 9}
    assert Reply.decode(reply(peers=[peer, good])).addresses() == [Address("9.9.9.9", 9)]


def test_nobody_is_sent_to_dial_what_cannot_be_a_peer() -> None:
    places = ["0.0.0.0", "224.0.0.1", "255.255.255.255", "239.255.255.250"]
    peers = b"".join(compact(Address(host, 80)) for host in places) + b"\1\2\3\4\0\0"
    peers6 = compact(Address("ff02::1", 80)) + compact(Address("::", 80))
    assert Reply(peers=peers, peers6=peers6).addresses() == []


def test_one_victim_named_many_times_is_one_peer() -> None:
    assert Reply(peers=b"\1\2\3\4\0\x50" * 40_000).addresses() == [Address("1.2.3.4", 80)]


def test_a_flood_of_peers_is_cut() -> None:
    flood = b"".join(n.to_bytes(4, "big") + b"\0\x50" for n in range(1 << 24, (1 << 24) + 45_000))
    assert len(Reply.decode(reply(peers=flood)).addresses()) == MAX_PEERS


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        (1, 1),
        (1800, 1800),
        (0, 60),
        (-1, 60),
        (-(2**63), 60),
        (2**63, 3600),
        (b"5", 1800),
        ([], 1800),
    ],
)
def test_an_interval_is_clamped(said: object, heard: int) -> None:
    assert Reply.decode(reply(interval=said)).interval == heard


@pytest.mark.parametrize(
    ("said", "heard"), [(1, 1), (900, 900), (0, None), (-1, None), (2**62, 3600), (b"", None)]
)
def test_a_min_interval_is_clamped(said: object, heard: int | None) -> None:
    assert Reply.decode(reply(min_interval=said)).min_interval == heard


def test_odd_values_beside_the_peers_are_as_good_as_missing() -> None:
    junk = [b"x", -1]
    read = Reply.decode(
        reply(
            complete=b"many",
            incomplete=-1,
            downloaded=2**64 - 1,
            external_ip=b"1.2.3",
            tracker_id=junk,
            warning_message=junk,
            peers=b"",
        )
    )
    assert read == Reply()


def test_a_failure_says_why_and_when_to_come_back() -> None:
    for said, retry_in in [
        (5, 300.0),
        (b"never", math.inf),
        (b"5", 300.0),
        (0, None),
        (-1, None),
        (2**63, 86400.0),
        (b"soon", None),
        ([], None),
        (None, None),
    ]:
        values = {"failure_reason": b"go away\r\n\x1b[31mred\xe2\x80\xae", "peers": b""}
        if said is not None:
            values["retry_in"] = said
        with pytest.raises(TrackerError, match=r"^go away   \[31mred$") as caught:
            Reply.decode(reply(**values))
        assert caught.value.retry_in == retry_in


def test_a_failure_without_words_is_a_failure() -> None:
    for reason in (b"", 7, [b"no"]):
        with pytest.raises(TrackerError, match="gave no reason"):
            Reply.decode(reply(failure_reason=reason))


def test_a_failures_text_is_bounded() -> None:
    with pytest.raises(TrackerError) as caught:
        Reply.decode(reply(failure_reason=b"x" * 100_000))
    assert len(str(caught.value)) == 200


@pytest.mark.parametrize("retry_in", [None, 60.0, 300.0, math.inf])
def test_a_failure_survives(retry_in: float | None) -> None:
    with pytest.raises(TrackerError, match=r"^closed for today$") as caught:
        Reply.decode(encode_failure(TrackerError("closed for today", retry_in)))
    assert caught.value.retry_in == retry_in


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"i1e",
        b"le",
        b"<html><body>404</body></html>",
        b"d8:intervali5e",
        reply(peers=5),
        reply(peers={b"a": 1}),
        reply(peers6=7),
        b"d5:peers" + b"l" * 5000 + b"e" * 5000 + b"e",
        b"d5:peersl" + b"0:" * 200_000 + b"ee",
        b"d5:peers99999999999999999999:e",
        b"d8:intervali" + b"9" * 5000 + b"ee",
        b"d" + b"0:0:" * 2 + b"e",
        reply(peers=b"\1" * MAX_REPLY),
    ],
    ids=lambda body: repr(body[:24]),
)
def test_what_cannot_be_an_answer_is_a_format_error(body: bytes) -> None:
    with pytest.raises(FormatError):
        Reply.decode(body)


values = st.recursive(
    st.integers(-(2**64), 2**64) | st.binary(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([b"ip", b"port", b"peer id", b"files", b"complete", b"x" * 20]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
names = st.sampled_from(
    [
        b"failure reason",
        b"retry in",
        b"warning message",
        b"interval",
        b"min interval",
        b"peers",
        b"peers6",
        b"complete",
        b"incomplete",
        b"downloaded",
        b"external ip",
        b"tracker id",
        b"files",
    ]
)


@given(st.dictionaries(names, values, max_size=6).map(bencode.encode) | st.binary(max_size=200))
@settings(max_examples=100)
@pytest.mark.parametrize("read", [Reply.decode, ScrapeReply.decode])
def test_any_body_is_an_answer_or_an_error(read: Callable[[bytes], object], body: bytes) -> None:
    try:
        answer = read(body)
    except (TrackerError, FormatError):
        return
    if isinstance(answer, Reply):
        assert all(address.dialable for address in answer.addresses())
        assert 1 <= answer.interval <= 3600
        answer.encode(compact=False)


@given(st.lists(twenty.map(InfoHash), min_size=1, max_size=MAX_SCRAPE, unique=True))
@settings(max_examples=20)
def test_a_scrape_survives(hashes: list[InfoHash]) -> None:
    assert Scrape.from_query(Scrape(hashes).query().encode()) == Scrape(hashes)


def test_a_scrape_goes_beside_the_announce() -> None:
    url = Scrape([HASH]).url("http://t/announce?passkey=x")
    assert url.startswith("http://t/scrape?passkey=x&info_hash=%EC%ED")


def test_a_scrape_names_some_swarms_but_not_all() -> None:
    with pytest.raises(RemoteProtocolError, match=r"^info_hash: 0 of them"):
        Scrape.from_query(b"")
    many = [InfoHash(n.to_bytes(20, "big")) for n in range(MAX_SCRAPE + 1)]
    with pytest.raises(RemoteProtocolError, match=r"^info_hash: 101 of them"):
        Scrape.from_query(Scrape(many).query().encode())
    with pytest.raises(RemoteProtocolError, match=r"^info_hash: 2 bytes"):
        Scrape.from_query(b"info_hash=%00%01")


@given(
    st.dictionaries(twenty.map(InfoHash), st.builds(Counts, amounts, amounts, amounts), max_size=5)
)
def test_a_scrape_reply_survives(swarms: dict[InfoHash, Counts]) -> None:
    assert ScrapeReply.decode(ScrapeReply(swarms).encode()) == ScrapeReply(swarms)


def test_odd_entries_of_a_scrape_reply_are_left_out() -> None:
    files = {b"short": {}, bytes(HASH): {b"complete": -5, b"incomplete": 3}, b"y" * 20: 7}
    assert ScrapeReply.decode(reply(files=files)).swarms == {HASH: Counts(0, 0, 3)}
    with pytest.raises(FormatError, match="no files"):
        ScrapeReply.decode(reply(files=[]))


@pytest.mark.parametrize(
    ("announce", "expected"),
    [
        ("http://example.com/announce", "http://example.com/scrape"),
        ("http://example.com/x/announce", "http://example.com/x/scrape"),
        ("http://example.com/announce.php", "http://example.com/scrape.php"),
        ("http://example.com/announce?x2%0644", "http://example.com/scrape?x2%0644"),
        ("http://example.com/a", None),
        ("http://example.com/announce?x=2/4", "http://example.com/scrape?x=2/4"),
        ("http://example.com/x%064announce", None),
        ("http://example.com", None),
    ],
)
def test_the_scrape_convention(announce: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(TrackerError, match="cannot be scraped"):
            scrape_url(announce)
    else:
        assert scrape_url(announce) == expected


@pytest.mark.parametrize("body", [b"%b\r\n", b"\n%b", b" %b\n\n"])
def test_blank_lines_around_an_answer_are_overlooked(body: bytes) -> None:
    """Scripts end in a line break, and trackers are scripts."""
    reply = Reply(60, peers=b"\1\2\3\4\5\6")
    assert Reply.decode(body % reply.encode()) == reply
