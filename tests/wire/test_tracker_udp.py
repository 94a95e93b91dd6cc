from dataclasses import replace

import pytest
from hypothesis import example, given, settings, strategies as st

from p2pswarm.errors import FormatError, RemoteError, RemoteProtocolError, TrackerError
from p2pswarm.formats.ids import InfoHash, PeerId
from p2pswarm.wire.tracker import MAX_PEERS, Announce, Counts, Event, Reply, Scrape
from p2pswarm.wire.tracker_udp import (
    CONNECT_SIZE,
    MAX_SCRAPE,
    MAX_URL_DATA,
    Answer,
    Question,
    announced,
    connect,
    connected,
    refused,
    scraped,
)

FEW = settings(max_examples=50)
ASKED = Announce(InfoHash(b"h" * 20), PeerId(b"-PS0100-abcdefghijkl"), 6881, key=b"00000ABC")

u32, u64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
amounts = st.integers(0, 2**63 - 1)
twenty = st.binary(min_size=20, max_size=20)
counts = st.builds(Counts, u32, u32, u32)
announces = st.builds(
    Announce,
    info_hash=twenty.map(InfoHash),
    peer_id=twenty.map(PeerId),
    port=st.integers(1, 65535),
    uploaded=amounts,
    downloaded=amounts,
    left=amounts,
    event=st.sampled_from([each for each in Event if each != "paused"]),
    numwant=st.none() | st.integers(0, 2**31 - 1),
    key=u32.map(lambda key: b"%08X" % key),
)


def hexed(text: str) -> bytes:
    return bytes.fromhex(text)


def test_a_connect_is_what_bep_15_says() -> None:
    assert connect(0x01020304) == hexed("00000417 27101980 00000000 01020304")
    assert len(connect(0)) == len(connected(0, 1)) == CONNECT_SIZE
    assert connected(7, 1 << 63) == hexed("00000000 00000007 80000000 00000000")


def test_an_announce_is_what_bep_15_says() -> None:
    asked = replace(ASKED, downloaded=1, left=2, uploaded=3, event=Event.STARTED)
    assert Question.announce(5, 6, asked) == (
        hexed("0000000000000005 00000001 00000006") + asked.info_hash + asked.peer_id
        + hexed("0000000000000001 0000000000000002 0000000000000003")
        + hexed("00000002 00000000 00000abc ffffffff 1ae1")
    )  # fmt: skip


def test_a_scrape_is_what_bep_15_says() -> None:
    data = Question.scrape(5, 6, Scrape([InfoHash(b"a" * 20), InfoHash(b"b" * 20)]))
    assert data == hexed("0000000000000005 00000002 00000006") + b"a" * 20 + b"b" * 20
    answer = scraped(6, [Counts(1, 2, 3), Counts(4, 5, 6)])
    assert answer == hexed("00000002 00000006 00000001 00000002 00000003 000000040000000500000006")


@FEW
@given(u64, u32, announces, st.binary(max_size=MAX_URL_DATA))
@example(1, 2, ASKED, b"/announce?passkey=" + b"k" * 600)
def test_announces_survive(connection: int, transaction: int, asked: Announce, url: bytes) -> None:
    question = Question.read(Question.announce(connection, transaction, asked, url))
    assert (question.connection, question.transaction) == (connection, transaction)
    assert question.read_announce() == asked
    assert question.url_data() == url


@FEW
@given(u64, u32, st.lists(twenty.map(InfoHash), min_size=1, max_size=MAX_SCRAPE))
def test_scrapes_survive(connection: int, transaction: int, hashes: list[InfoHash]) -> None:
    question = Question.read(Question.scrape(connection, transaction, Scrape(hashes)) + b"more")
    assert question.read_scrape().info_hashes == hashes


@FEW
@given(u32, st.integers(1, 3600), u32, u32, st.sampled_from([6, 18]), st.data())
def test_answers_survive(
    transaction: int, interval: int, seeds: int, leeches: int, stride: int, data: st.DataObject
) -> None:
    count = data.draw(st.integers(0, 5))
    peers = data.draw(st.binary(min_size=count * stride, max_size=count * stride))
    v4, v6 = (peers, b"") if stride == 6 else (b"", peers)
    reply = Reply(interval, peers=v4, peers6=v6, complete=seeds, incomplete=leeches)
    answer = Answer.read(announced(transaction, reply, stride) + b"odd")
    assert answer.transaction == transaction
    assert answer.reply(stride) == reply


def test_of_an_answer_only_the_askers_family_is_sent() -> None:
    reply = Reply(peers=b"4" * 6, peers6=b"6" * 18)
    assert announced(1, reply, 6)[20:] == b"4" * 6
    assert announced(1, reply, 18)[20:] == b"6" * 18


@FEW
@given(st.lists(counts, max_size=4), st.integers(0, 4))
def test_counts_belong_to_what_was_asked(sizes: list[Counts], asked: int) -> None:
    hashes = [InfoHash(bytes([n]) * 20) for n in range(asked)]
    reply = Answer.read(scraped(3, sizes) + b"odd").counts(Scrape(hashes))
    assert reply.swarms == dict(zip(hashes, sizes, strict=False))


def test_connection_ids_survive() -> None:
    assert Answer.read(connected(9, 2**64 - 1) + b"and more").connection() == 2**64 - 1


@FEW
@given(st.binary(max_size=200) | st.binary(max_size=80).map(lambda b: connect(1)[:8] + b))
def test_any_bytes_as_a_question(data: bytes) -> None:
    try:
        question = Question.read(data)
    except FormatError:
        return
    for read in (question.read_announce, question.url_data, question.read_scrape):
        try:
            assert read() is not None
        except RemoteProtocolError:
            continue


@FEW
@given(st.integers(0, 4), st.binary(max_size=80))
def test_any_bytes_as_an_answer(action: int, data: bytes) -> None:
    answer = Answer.read(bytes((0, 0, 0, action, 1, 2, 3, 4)) + data)
    asked = Scrape([InfoHash(b"a" * 20)])
    reads = (answer.connection, lambda: answer.reply(6), lambda: answer.counts(asked))
    understood = 0
    for read in reads:
        try:
            read()
            understood += 1
        except (FormatError, TrackerError):
            continue
    assert understood <= (action < 3)


@pytest.mark.parametrize("size", range(8))
def test_short_answers_are_none(size: int) -> None:
    with pytest.raises(FormatError):
        Answer.read(bytes(size))


@pytest.mark.parametrize(
    "data",
    [b"", connect(1)[:15], bytes(16), hexed("0000000000000001 00000003 00000001"), b"\xff" * 98],
    ids=["empty", "short", "another protocol", "an error", "junk"],
)
def test_what_is_no_question(data: bytes) -> None:
    with pytest.raises(FormatError):
        Question.read(data)


def with_options(options: bytes) -> Question:
    return Question.read(Question.announce(1, 2, ASKED) + options)


@pytest.mark.parametrize(
    ("options", "url"),
    [
        (b"", b""),
        (b"\0\2\1x", b""),
        (b"\1\1\2\1x\1\2\2yz\0junk", b"xyz"),
        (b"\7\2??\2\1x", b"x"),
        (b"\2\0\2\1x", b"x"),
    ],
    ids=["none", "ended", "in pieces", "unknown ones", "empty ones"],
)
def test_options(options: bytes, url: bytes) -> None:
    assert with_options(options).url_data() == url


@pytest.mark.parametrize("options", [b"\2", b"\2\1", b"\2\xff" + b"x" * 254, b"\1\x09"])
def test_options_that_go_beyond_the_datagram(options: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="longer than the datagram"):
        with_options(options).url_data()


@pytest.mark.parametrize(
    ("at", "bad", "field"),
    [(83, b"\4", "event"), (80, b"\1", "event"), (96, b"\0\0", "port")],
)
def test_errors_name_the_field(at: int, bad: bytes, field: str) -> None:
    data = bytearray(Question.announce(1, 2, ASKED))
    data[at : at + len(bad)] = bad
    with pytest.raises(RemoteProtocolError, match=f"^{field}:"):
        Question.read(bytes(data)).read_announce()


@pytest.mark.parametrize(("at", "field"), [(56, "downloaded"), (64, "left"), (72, "uploaded")])
def test_an_amount_that_nobody_knows_is_a_large_one(at: int, field: str) -> None:
    """WebTorrent's client leaves the swarm with `left` all ones: it was refused, and stayed."""
    data = bytearray(Question.announce(1, 2, ASKED))
    data[at : at + 8] = b"\xff" * 8
    assert getattr(Question.read(bytes(data)).read_announce(), field) == 2**63 - 1


def test_a_short_announce_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="announce: 97 bytes"):
        Question.read(Question.announce(1, 2, ASKED)[:97]).read_announce()


def test_the_address_of_a_question_is_only_a_hint() -> None:
    data = bytearray(Question.announce(1, 2, ASKED))
    data[84:88] = bytes((9, 8, 7, 6))
    assert Question.read(bytes(data)).read_announce().hints == ("9.8.7.6",)


def test_a_partial_seed_announces_as_everybody() -> None:
    paused = Question.announce(1, 2, replace(ASKED, event=Event.PAUSED))
    assert paused == Question.announce(1, 2, ASKED)


@pytest.mark.parametrize("count", [0, MAX_SCRAPE + 1])
def test_scrapes_of_none_and_of_too_many_are_refused(count: int) -> None:
    question = Question.read(Question.scrape(1, 2, Scrape([ASKED.info_hash] * count)))
    with pytest.raises(RemoteProtocolError, match=f"info_hash: {count}"):
        question.read_scrape()


def test_an_error_says_why_in_one_line() -> None:
    answer = Answer.read(refused(3, "no such\nswarm", 100))
    for read in (answer.connection, lambda: answer.reply(6), lambda: answer.counts(Scrape([]))):
        with pytest.raises(TrackerError, match=r"^no such swarm$"):
            read()


def test_an_error_is_no_longer_than_it_may_be() -> None:
    assert len(refused(3, "x" * 99, 16)) == 16
    assert len(refused(3, "x" * 99, 0)) == 8


def test_an_error_without_words() -> None:
    with pytest.raises(TrackerError, match="no reason"):
        Answer.read(refused(3, "", 16)).connection()


def test_nonsense_intervals_make_nobody_hammer() -> None:
    for said, kept in ((0, 60), (2**32 - 1, 3600), (900, 900)):
        assert Answer.read(announced(1, Reply(said), 6)).reply(6).interval == kept


def test_more_peers_than_anybody_asked_for_are_not_kept() -> None:
    crowd = Reply(peers=bytes(range(6)) * 10_000)
    assert len(Answer.read(announced(1, crowd, 6)).reply(6).peers) == 2 * MAX_PEERS * 6


def test_an_answer_to_something_else() -> None:
    with pytest.raises(RemoteError, match="of another kind"):
        Answer.read(connected(1, 2)).reply(6)
    with pytest.raises(RemoteError, match="cut short"):
        Answer.read(connected(1, 2)[:15]).connection()
