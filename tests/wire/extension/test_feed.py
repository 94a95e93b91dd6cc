"""Messages of the feed's swarm, both directions."""

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats import bencode
from p2pswarm.formats.feed import MAX_ENTRIES, MAX_ENTRY
from p2pswarm.wire.extension.feed import (
    MOST_ENTRIES,
    FeedAsk,
    FeedEntries,
    FeedHead,
    FeedMessage,
    FeedProof,
    read_feed,
)

entries = st.binary(min_size=1, max_size=MAX_ENTRY)
messages: st.SearchStrategy[FeedMessage] = st.one_of(
    st.builds(FeedHead, entries),
    st.builds(FeedAsk, st.integers(1, MAX_ENTRIES)),
    st.builds(FeedEntries, st.lists(entries, max_size=MOST_ENTRIES)),
    st.builds(FeedProof, st.tuples(entries, entries)),
)


@settings(max_examples=60)
@given(messages)
def test_a_message_is_read_as_it_was_written(message: FeedMessage) -> None:
    assert read_feed(message.encode()) == message


def test_the_longest_message_is_read() -> None:
    longest = FeedEntries([bytes(MAX_ENTRY)] * MOST_ENTRIES)
    assert read_feed(longest.encode()) == longest


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"msg_type": -1},
        {"msg_type": b"0"},
        {"msg_type": 0},
        {"msg_type": 0, "entry": b""},
        {"msg_type": 0, "entry": bytes(MAX_ENTRY + 1)},
        {"msg_type": 1, "from": 0},
        {"msg_type": 1, "from": MAX_ENTRIES + 1},
        {"msg_type": 2, "entries": b"x"},
        {"msg_type": 2, "entries": [b"x"] * (MOST_ENTRIES + 1)},
        {"msg_type": 2, "entries": [[b"x"]]},
        {"msg_type": 3, "entries": [b"x"]},
        {"msg_type": 3, "entries": [b"x"] * 3},
    ],
)
def test_what_breaks_the_rules_is_refused(body: dict[str, object]) -> None:
    with pytest.raises(RemoteProtocolError):
        read_feed(bencode.encode({key.encode(): value for key, value in body.items()}))


def test_a_kind_that_is_newer_than_we_is_ignored() -> None:
    assert read_feed(b"d8:msg_typei4ee") is None


@settings(max_examples=60)
@given(st.binary(max_size=100))
def test_any_bytes_are_a_message_or_an_error(junk: bytes) -> None:
    for payload in (junk, b"d8:msg_typei2e" + junk, b"l" * 50 + junk):
        try:
            read_feed(payload)
        except RemoteProtocolError:
            continue
