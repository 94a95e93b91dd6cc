"""A log that nobody can change, not even who writes it."""

from collections.abc import Callable
from itertools import permutations

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import FormatError
from p2pswarm.formats import bencode
from p2pswarm.formats.feed import MAX_ENTRIES, MAX_ENTRY, Entry, FeedName
from p2pswarm.formats.feed_log import Log, Proof, Verdict, read_proof
from p2pswarm.formats.ids import InfoHash
from tests.support.feeds import Publisher

ALICE = Publisher(1)
BODY = bencode.decode(ALICE.entry().text)


def forged(**changes: object) -> bytes:
    """An entry of Alice's with other words, under the signature of her own."""
    body = {**BODY, **{key.encode(): value for key, value in changes.items()}}
    body = {key: value for key, value in body.items() if value is not None}
    return bencode.encode({b"body": body, b"sig": ALICE.entry().signature})


def test_an_entry_is_what_it_was_after_its_travel() -> None:
    first, second = ALICE.entries(2)
    assert Entry.decode(second.raw) == second
    assert (second.sequence, second.previous, second.name) == (2, first.digest, "release 1")
    assert second.genuine
    assert len(second.raw) < 400


def test_an_entry_is_as_documented() -> None:
    """The example of docs/protocols/feed.md: whoever writes another client can try it with this."""
    assert ALICE.entry(what="blue").raw == (
        b"d4:bodyd4:feed32:" + ALICE.key.public + b"4:name4:blue4:prev32:" + bytes(32)
        + b"4:salt0:3:seqi1e4:sizei7e4:timei1700000000e2:v120:"
        + ALICE.entry(what="blue").short + b"e3:sig64:" + ALICE.entry(what="blue").signature + b"e"
    )  # fmt: skip


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"le",
        b"de",
        b"d4:bodyde3:sig64:" + bytes(64) + b"e",
        forged(seq=0),
        forged(seq=-1),
        forged(seq=MAX_ENTRIES + 1),
        forged(seq=2),  # which would have to come after something
        forged(prev=b"\1" * 32),  # the first comes after nothing
        forged(prev=b"\1" * 31),
        forged(name=b""),
        forged(name=b"\xff"),
        forged(name=b"two\nlines"),
        forged(name=b"x" * 256),
        forged(name=7),
        forged(salt=b"x" * 65),
        forged(feed=b"x" * 31),
        forged(size=-1),
        forged(time=1 << 53),
        forged(v1=b"x" * 21),
        forged(v2=b"x" * 20),
        forged(v1=None),
        forged(more=b""),
        ALICE.entry().raw + b"x",
        ALICE.entry().raw.replace(b"d4:bodyd", b"d3:abc0:4:bodyd"),
        b"d3:sig64:" + ALICE.entry().signature + b"4:body" + ALICE.entry().text + b"e",
        forged(name=b"x" * MAX_ENTRY),
    ],
)
def test_what_is_no_entry_is_refused(raw: bytes) -> None:
    with pytest.raises(FormatError):
        Entry.decode(raw)


@settings(max_examples=60)
@given(st.binary(max_size=200), st.integers(0, 370), st.integers(0, 255))
def test_any_bytes_are_an_entry_or_an_error(junk: bytes, at: int, byte: int) -> None:
    near = bytearray(ALICE.entry().raw)
    near[at % len(near)] = byte
    for raw in (junk, bytes(near), bytes(near[:at])):
        try:
            entry = Entry.decode(raw)
        except FormatError:
            continue
        assert Entry.decode(entry.raw) == entry
        assert entry.genuine == (raw == ALICE.entry().raw)


@settings(max_examples=40)
@given(st.text(max_size=300), st.integers(0, 2**53 - 1), st.integers(0, 2**53 - 1))
def test_any_name_can_be_signed(name: str, size: int, time: int) -> None:
    info_hash = InfoHash(bytes(20))
    entry = Entry.signed(
        ALICE.key, b"salt", None, info_hash=info_hash, name=name, size=size, time=time
    )
    assert entry.genuine
    assert (entry.size, entry.time, entry.feed.salt) == (size, time, b"salt")
    assert entry.name.isprintable()


def test_a_log_grows_entry_by_entry() -> None:
    log = Log(ALICE.name)
    for entry in ALICE.entries(4):
        assert log.add(entry) is Verdict.NEW
        assert log.add(entry) is Verdict.KNOWN
        log.check()
    assert log.head == log.newest
    assert [entry.sequence for entry in log.entries] == [1, 2, 3, 4]


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_in_any_order_the_log_is_true(order: tuple[int, ...]) -> None:
    log, entries = Log(ALICE.name), ALICE.entries(4)
    for _ in range(4):  # what came too early has to come again
        for number in order:
            log.add(entries[number])
            log.check()
    assert log.entries == entries
    assert log.proof is None
    assert log.beyond is None


def test_an_entry_after_a_gap_is_remembered() -> None:
    log, (first, second, third) = Log(ALICE.name), ALICE.entries(3)
    assert log.add(first) is Verdict.NEW
    assert log.add(third) is Verdict.AHEAD
    assert log.head == first
    assert log.newest == third
    assert log.add(second) is Verdict.NEW
    assert log.entries == [first, second, third]


def test_a_release_that_was_rewritten_is_a_proof() -> None:
    log = ALICE.log(2)
    assert log.add(ALICE.entry(what="another first")) is Verdict.CONTRADICTS
    assert log.proof is not None
    assert "release 1 was signed twice" in str(log.proof)
    assert log.add(ALICE.entry(log.head)) is Verdict.KNOWN  # which means: nothing is added any more
    assert len(log.entries) == 2
    assert Log(ALICE.name).accuse(read_proof(log.proof.entries))


def test_a_release_upon_another_past_is_a_proof() -> None:
    other = ALICE.entries(3, what="another")
    log = ALICE.log(2)
    assert log.add(other[2]) is Verdict.CONTRADICTS
    assert "was signed upon another release 2" in str(log.proof)


def test_a_gap_that_closes_with_another_past_is_a_proof() -> None:
    log, other = ALICE.log(1), ALICE.entries(3, what="another")
    assert log.add(other[2]) is Verdict.AHEAD
    assert log.add(ALICE.entry(log.head, "release 1")) is Verdict.CONTRADICTS


def test_what_somebody_else_signed_changes_nothing() -> None:
    log, mallory = ALICE.log(2), Publisher(2)
    (stranger,) = mallory.entries(1)
    for raw in (
        stranger.raw,
        forged(name=b"other"),
        bencode.encode({b"body": BODY, b"sig": mallory.key.sign(ALICE.entry().text)}),
    ):
        with pytest.raises(FormatError):
            log.add(Entry.decode(raw))
    fake = Entry.decode(forged(name=b"other"))
    real = ALICE.entry()
    proof = Proof.of(real, fake)
    assert proof is not None
    with pytest.raises(FormatError):
        log.accuse(proof)
    assert log.proof is None
    assert len(log.entries) == 2


def test_a_second_form_of_a_signature_is_no_second_entry() -> None:
    (entry,) = ALICE.entries(1)
    twin = Entry.decode(bencode.encode({b"body": bencode.decode(entry.text), b"sig": bytes(64)}))
    log = Log(ALICE.name)
    log.add(entry)
    assert log.add(twin) is Verdict.KNOWN
    assert log.entries[0].raw == entry.raw


def test_feeds_of_one_key_are_told_apart_by_their_salt() -> None:
    photos, songs = Publisher(1, b"photos"), Publisher(1, b"songs")
    assert photos.name.info_hash != songs.name.info_hash
    with pytest.raises(FormatError):
        Log(photos.name).add(songs.entry())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda log: None,
        lambda log: log.add(ALICE.entries(5)[4]),
        lambda log: log.add(ALICE.entry(what="another first")),
    ],
)
def test_a_log_is_what_it_was_after_a_restart(spoil: Callable[[Log], object]) -> None:
    log = ALICE.log(3)
    spoil(log)
    again = Log.decode(ALICE.name, log.encode())
    assert (again.entries, again.beyond, again.proof) == (log.entries, log.beyond, log.proof)


@settings(max_examples=40)
@given(st.binary(max_size=100), st.integers(0, 800), st.integers(0, 255))
def test_any_file_is_a_log_or_an_error(junk: bytes, at: int, byte: int) -> None:
    near = bytearray(ALICE.log(2).encode())
    near[at % len(near)] = byte
    for raw in (junk, bytes(near)):
        try:
            Log.decode(ALICE.name, raw).check()
        except FormatError:
            continue


def test_the_swarm_of_a_feed_has_its_own_name() -> None:
    assert FeedName(bytes(32)).info_hash != FeedName(bytes(32), b"x").info_hash
