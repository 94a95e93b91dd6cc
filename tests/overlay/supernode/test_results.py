"""What is found, as the common door shows it, and what can be asked."""

from typing import Any

import pytest

from p2pswarm.errors import NetworkError
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.formats.words import Kind
from p2pswarm.formats.zones import Zone
from p2pswarm.overlay.query import Digest, Hit, Query
from p2pswarm.overlay.supernode.results import hits_of, question_for
from p2pswarm.wire.supernode.hits import Found
from p2pswarm.wire.supernode.queries import MAX_WANT
from p2pswarm.wire.supernode.shares import SharedFile

GUID, NODE = b"g" * 16, b"n" * 16
FAR, NEAR, HERE = Address("80.1.1.1", 1), Address("10.0.0.1", 2), Address("127.0.0.1", 3)
FILE = SharedFile(7, 100, "blue ocean.ogg", b"s" * 20, b"t" * 24, InfoHash(b"i" * 20))


def hits(
    host: Address, teller: Zone, *, firewalled: bool = False, parent: Address | None = None
) -> list[Hit]:
    return list(hits_of(Found(host, NODE, firewalled, parent, (FILE,)), teller))


def test_a_hit_says_all_that_is_known() -> None:
    (hit,) = hits(FAR, Zone.INTERNET)
    assert (hit.name, hit.size, hit.host, hit.index) == ("blue ocean.ogg", 100, FAR, 7)
    assert (hit.sha1, hit.tth, hit.info_hash, hit.peer) == (*FILE[3:], FAR)
    assert (hit.nick, hit.network, hit.firewalled, hit.proxies) == (
        NODE.hex(),
        "supernode",
        False,
        (),
    )


@pytest.mark.parametrize(("host", "teller"), [(NEAR, 0), (HERE, 0), (HERE, 1)])
def test_nobody_sends_us_nearer_than_he_is(host: Address, teller: int) -> None:
    assert hits(host, Zone(teller)) == []
    (hit,) = hits(host, Zone(teller), firewalled=True, parent=host)
    assert (hit.host, hit.proxies, hit.peer) == (None, (), None)  # nothing that could be dialed


@pytest.mark.parametrize("host", [FAR, NEAR, HERE])
def test_who_is_on_this_machine_may_name_anybody(host: Address) -> None:
    (hit,) = hits(host, Zone.THIS_MACHINE)
    assert hit.host == host


def test_who_is_behind_a_firewall_comes_with_its_parent() -> None:
    (hit,) = hits(NEAR, Zone.INTERNET, firewalled=True, parent=FAR)
    assert (hit.host, hit.firewalled, hit.proxies, hit.peer) == (None, True, (FAR,), None)


def test_a_question_in_their_words() -> None:
    query = question_for(Query(("blue",), ("live",), kind=Kind.AUDIO, min_size=5, limit=20), GUID)
    assert (query.guid, query.words, query.without) == (GUID, ("blue",), ("live",))
    assert (query.kind, query.min_size, query.want, query.digest) == (Kind.AUDIO, 5, 20, None)


def test_who_asks_by_a_hash_asks_by_nothing_else() -> None:
    query = question_for(Query(("blue",), digest=Digest("sha1", b"s" * 20)), GUID)
    assert (query.words, query.digest) == ((), ("sha1", b"s" * 20))


def test_more_than_they_give_is_not_asked_for() -> None:
    assert question_for(Query(("blue",), limit=10 * MAX_WANT), GUID).want == MAX_WANT


@pytest.mark.parametrize(
    ("words", "more"),
    [((), {}), ((), {"digest": Digest("md5", b"m" * 16)}), (("x" * 300,) * 30, {})],
    ids=["all", "md5", "long"],
)
def test_what_cannot_be_asked_is_said(words: tuple[str, ...], more: dict[str, Any]) -> None:
    with pytest.raises(NetworkError, match="cannot be asked"):
        question_for(Query(words, **more), GUID)
