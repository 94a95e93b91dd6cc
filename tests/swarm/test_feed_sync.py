"""Who tells whom what of a feed, message by message."""

from collections.abc import Sequence

import pytest

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.feed_log import Log, Proof
from p2pswarm.swarm.feed_sync import ANSWER_TIME, MOST_ASKED, NOT_AGAIN, FeedSync
from p2pswarm.wire.extension.feed import (
    MOST_ENTRIES,
    FeedAsk,
    FeedEntries,
    FeedHead,
    FeedMessage,
    FeedProof,
)
from tests.support.feeds import Publisher

ALICE = Publisher(1)
CHAIN = ALICE.entries(5)
OTHER = ALICE.entries(5, what="other")


def sync(count: int = 0) -> FeedSync:
    return FeedSync(ALICE.log(count))


def hear(here: FeedSync, peer: str, *messages: FeedMessage, now: float = 0.0) -> list[object]:
    return [said for message in messages for said in here.got(peer, message, now)]


def raws(entries: Sequence[object]) -> list[bytes]:
    return [entry.raw for entry in entries]  # type: ignore[attr-defined]


def joined(here: FeedSync, *peers: str) -> FeedSync:
    for peer in peers:
        list(here.joined(peer))
    return here


def talk(one: FeedSync, other: FeedSync) -> int:
    """Both meet and say all they have to; how many messages that took."""
    ways = {"one": (one, "other"), "other": (other, "one")}
    said = [*((*each, "one") for each in one.joined("other"))]
    said += [*((*each, "other") for each in other.joined("one"))]
    count = 0
    while said:
        count += 1
        _, message, speaker = said.pop(0)
        hearer = "other" if speaker == "one" else "one"
        here, _ = ways[hearer]
        said += [(*each, hearer) for each in here.got(speaker, message, 0.0)]
    return count


def test_who_is_behind_gets_all_of_it() -> None:
    one, other = sync(), sync(100)
    assert talk(one, other) == 1 + 2 * -(-99 // MOST_ENTRIES)
    assert one.log.entries == other.log.entries


def test_nobody_says_anything_when_there_is_nothing() -> None:
    assert talk(sync(), sync()) == 0


def test_one_peer_is_asked_at_a_time_and_another_when_it_does_not_answer() -> None:
    here = joined(sync(), "a", "b")
    assert hear(here, "a", FeedHead(CHAIN[4].raw)) == [
        ("b", FeedHead(CHAIN[4].raw)),
        ("a", FeedAsk(1)),
    ]
    assert hear(here, "b", FeedHead(CHAIN[4].raw)) == []
    assert list(here.due(ANSWER_TIME)) == []
    assert list(here.due(ANSWER_TIME + 1)) == [("b", FeedAsk(1))]
    assert hear(here, "b", FeedEntries([]), now=ANSWER_TIME + 2) == []
    assert list(here.due(NOT_AGAIN)) == []
    assert list(here.due(NOT_AGAIN + ANSWER_TIME + 1)) == [("a", FeedAsk(1))]


def test_an_entry_that_is_withheld_is_noticed() -> None:
    here = joined(sync(2), "a")
    log = here.log
    *between, ahead = ALICE.entries(3, log.head)
    assert hear(here, "a", FeedHead(ahead.raw), now=7.0) == [("a", FeedAsk(3))]
    assert here.missing_since == 7.0
    hear(here, "a", FeedEntries(raws(between)), now=8.0)
    assert here.missing_since is None
    assert log.newest == log.head == ahead


def test_news_goes_to_all_who_do_not_know_it() -> None:
    here = joined(sync(1), "a", "b")
    hear(here, "a", FeedHead(here.log.entries[0].raw))
    news = ALICE.entry(here.log.head)
    here.log.add(news)
    assert list(here.tell(0.0)) == [("a", FeedHead(news.raw)), ("b", FeedHead(news.raw))]


def test_a_release_that_was_rewritten_ends_the_feed_for_everybody() -> None:
    here = joined(sync(2), "a", "b")
    said = hear(here, "a", FeedHead(OTHER[0].raw))
    proof = here.log.proof
    assert proof is not None
    assert said == [("a", FeedProof(proof.entries)), ("b", FeedProof(proof.entries))]
    assert list(here.joined("c")) == [("c", FeedProof(proof.entries))]
    assert hear(here, "b", FeedHead(ALICE.entry(here.log.head).raw)) == []
    assert len(here.log.entries) == 2
    assert hear(here, "b", FeedAsk(1)) == [("b", FeedEntries([]))]


def test_a_proof_is_taken_from_anybody() -> None:
    proof = Proof.of(CHAIN[0], OTHER[0])
    assert proof is not None
    here = joined(sync(), "a", "b")
    assert len(hear(here, "a", FeedProof(proof.entries))) == 2
    assert here.log.proof == proof
    assert hear(here, "b", FeedProof(proof.entries)) == []


@pytest.mark.parametrize(
    "message",
    [
        FeedHead(b"junk"),
        FeedHead(Publisher(2).entry().raw),
        FeedEntries([CHAIN[0].raw]),  # which nobody asked for
        FeedProof((CHAIN[0].raw, CHAIN[1].raw)),  # which fit together
        FeedProof((CHAIN[0].raw, CHAIN[0].raw)),
        FeedProof((Publisher(2).entry(what="x").raw, Publisher(2).entry(what="y").raw)),
    ],
)
def test_who_gives_what_the_publisher_did_not_sign_is_at_fault(message: FeedMessage) -> None:
    here = joined(sync(1), "a")
    with pytest.raises(RemoteProtocolError):
        hear(here, "a", message)
    assert here.log.proof is None
    assert len(here.log.entries) == 1


def test_whoever_asks_without_end_gets_nothing_more() -> None:
    here = joined(sync(2), "a")
    answers = [hear(here, "a", FeedAsk(1))[0] for _ in range(int(MOST_ASKED) + 5)]
    assert answers[0] == ("a", FeedEntries(raws(here.log.entries)))
    assert answers[-1] == ("a", FeedEntries([]))
    assert hear(here, "a", FeedAsk(1), now=100.0)[0] == answers[0]


def test_one_that_left_is_not_waited_for() -> None:
    here = joined(sync(), "a", "b")
    hear(here, "b", FeedHead(CHAIN[4].raw))
    here.gone("b")
    assert list(here.due(1.0)) == []
    assert hear(here, "a", FeedHead(CHAIN[4].raw), now=2.0) == [("a", FeedAsk(1))]


def test_an_empty_log_takes_the_first_entry_as_it_comes() -> None:
    here = joined(FeedSync(Log(ALICE.name)), "a")
    hear(here, "a", FeedHead(CHAIN[0].raw))
    assert here.log.entries == [CHAIN[0]]
