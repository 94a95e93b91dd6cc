"""What is said in a greeting and what becomes of it: every pair of roles back to back; what others say."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given, strategies as st

from p2pswarm.errors import RemoteError
from p2pswarm.formats.ids import Address
from p2pswarm.overlay.gnutella.links.agreement import (
    Agreement,
    RefusedGreetingError,
    Role,
    Standing,
    Tries,
)
from p2pswarm.overlay.gnutella.links.greeting import MYSELF, Answerer, Dialer
from p2pswarm.wire.http.heads import ConnectHead, Headers, HeadFramer, StatusHead
from tests.support.feeding import feed

LEAF, ULTRAPEER, PEER = Role.LEAF, Role.ULTRAPEER, Role.PEER
HERE, THERE = Address("10.0.0.1", 50000), Address("10.0.0.2", 6346)
ONE, OTHER = bytes(range(16)), bytes(range(16, 32))


def standing(role: Role, **changes: Any) -> Standing:
    room = {
        LEAF: {"ultrapeer_slots": 3},
        ULTRAPEER: {"ultrapeer_slots": 16, "leaf_slots": 100},
        PEER: {"ultrapeer_slots": 8},
    }[role]
    return Standing(**{"role": role, "guid": ONE, "port": 6346, "degree": 16, **room, **changes})


def read(head: ConnectHead | StatusHead) -> Any:
    """As the other side reads it."""
    (message,) = feed(HeadFramer(type(head).read), head.encode())
    return message


def meet(dialing: Standing, dialed: Standing) -> tuple[Agreement, Agreement]:
    """What both have agreed on. Raises RefusedGreetingError, whoever refuses."""
    dialer, answerer = Dialer(dialing, HERE, THERE), Answerer(dialed, THERE, HERE)
    second = read(answerer.asked(read(dialer.hello())))
    third, agreement = dialer.answered(second)
    assert answerer.waiting
    theirs = answerer.concluded(read(third))
    assert agreement is not None
    assert not answerer.waiting
    return agreement, theirs


def ours(role: Role, **changes: Any) -> Standing:
    return standing(role, **changes)


def theirs(role: Role, **changes: Any) -> Standing:
    return standing(role, guid=OTHER, **changes)


AGREED = [(LEAF, ULTRAPEER), (ULTRAPEER, LEAF), (ULTRAPEER, ULTRAPEER), (PEER, PEER)]
AGREED += [(PEER, ULTRAPEER), (ULTRAPEER, PEER)]
SHIELDED = [(LEAF, LEAF), (PEER, LEAF), (LEAF, PEER)]


def test_every_pair_is_here() -> None:
    assert sorted(AGREED + SHIELDED, key=str) == sorted(product(Role, Role), key=str)


@pytest.mark.parametrize(("dialing", "dialed"), AGREED)
def test_who_becomes_a_neighbour_of_whom(dialing: Role, dialed: Role) -> None:
    agreement, other = meet(ours(dialing), theirs(dialed))
    assert (agreement.ours, agreement.theirs) == (dialing, dialed)
    assert (other.ours, other.theirs) == (dialed, dialing)
    for side in (agreement, other):
        assert side.inflate
        assert side.deflate
        assert side.bye
        assert side.pong_caching
        assert side.vendor_messages
        assert side.agent == "p2pswarm/0.1"
    assert (agreement.guid, other.guid) == (OTHER, ONE)
    assert (agreement.address, other.address) == (THERE, Address(HERE.host, 6346))
    assert (agreement.seen_as, other.seen_as) == (HERE.host, THERE.host)


@pytest.mark.parametrize(("dialing", "dialed"), SHIELDED)
def test_who_does_not(dialing: Role, dialed: Role) -> None:
    with pytest.raises(RefusedGreetingError, match="503 I am a shielded leaf node"):
        meet(ours(dialing), theirs(dialed))


def test_what_an_ultrapeer_says() -> None:
    head = Dialer(ours(ULTRAPEER, guess=True, since="now"), HERE, THERE).hello()
    assert head.version == "0.6"
    assert dict(head.headers.items()) == {
        "User-Agent": "p2pswarm/0.1",
        "GGEP": "0.5",
        "Pong-Caching": "0.1",
        "Bye-Packet": "0.1",
        "Vendor-Message": "0.2",
        "X-Requeries": "False",
        "GUID": ONE.hex(),
        "Remote-IP": "10.0.0.2",
        "Listen-IP": "10.0.0.1:6346",
        "Accept-Encoding": "deflate",
        "X-Live-Since": "now",
        "X-Ultrapeer": "True",
        "X-Query-Routing": "0.2",
        "X-Ultrapeer-Query-Routing": "0.1",
        "X-Ext-Probes": "0.1",
        "X-Degree": "16",
        "X-Max-TTL": "4",
        "X-Dynamic-Querying": "0.1",
        "X-Guess": "0.2",
    }


def test_a_flat_node_does_not_know_of_ultrapeers() -> None:
    head = Dialer(ours(PEER), HERE, THERE).hello()
    assert not [name for name in head.headers if "ltrapeer" in name or "Query" in name]


def test_who_cannot_be_dialed_names_no_address() -> None:
    agreement, other = meet(ours(LEAF, port=0), theirs(ULTRAPEER))
    assert other.address is None
    assert agreement.address == THERE


@pytest.mark.parametrize(("one", "other"), [*product([True, False], repeat=2)])
def test_each_direction_is_deflated_if_both_want_it(one: bool, other: bool) -> None:
    agreement, theirs_ = meet(ours(LEAF, deflate=one), theirs(ULTRAPEER, deflate=other))
    both = one and other
    assert (agreement.deflate, agreement.inflate) == (both, both)
    assert (theirs_.deflate, theirs_.inflate) == (both, both)


def test_only_one_direction() -> None:
    """They take deflated data and send none."""
    dialer = Dialer(ours(LEAF), HERE, THERE)
    reply = StatusHead(headers=Headers({"X-Ultrapeer": "True", "Accept-Encoding": "deflate"}))
    third, agreement = dialer.answered(reply)
    assert third.headers["Content-Encoding"] == "deflate"
    assert agreement is not None
    assert (agreement.deflate, agreement.inflate) == (True, False)


# Roles on the way


def test_an_ultrapeer_that_is_not_needed_follows() -> None:
    agreement, other = meet(ours(ULTRAPEER, may_follow=True), theirs(ULTRAPEER, needed=False))
    assert (agreement.ours, agreement.theirs) == (LEAF, ULTRAPEER)
    assert (other.ours, other.theirs) == (ULTRAPEER, LEAF)
    assert agreement.query_routing
    assert not other.query_routing


def test_one_with_leaves_does_not() -> None:
    agreement, other = meet(ours(ULTRAPEER), theirs(ULTRAPEER, needed=False))
    assert agreement.ours is other.theirs is ULTRAPEER


def test_a_leaf_leads_a_leaf() -> None:
    agreement, other = meet(ours(LEAF), theirs(LEAF, may_lead=True))
    assert (agreement.ours, agreement.theirs) == (LEAF, ULTRAPEER)
    assert (other.ours, other.theirs) == (ULTRAPEER, LEAF)


def test_a_leaf_that_came_as_an_ultrapeer_needs_a_place() -> None:
    full = theirs(ULTRAPEER, needed=False, leaf_slots=0)
    with pytest.raises(RefusedGreetingError, match="No place"):
        meet(ours(ULTRAPEER, may_follow=True), full)


# Refusals


def test_who_is_full_names_others() -> None:
    tries = [Address("10.0.0.7", 6346), Address("10.0.0.8", 1234)]
    full = theirs(ULTRAPEER, leaf_slots=0, tries=tries, others=[Address("10.0.0.9", 1)])
    with pytest.raises(RefusedGreetingError, match="503 Busy") as caught:
        meet(ours(LEAF), full)
    assert caught.value.tries == Tries(tuple(tries), (Address("10.0.0.9", 1),))


@pytest.mark.parametrize("role", [ULTRAPEER, PEER])
def test_no_place_for_equals(role: Role) -> None:
    with pytest.raises(RefusedGreetingError, match="503 Busy"):
        meet(ours(role), theirs(role, ultrapeer_slots=0))


def test_that_was_ourselves() -> None:
    with pytest.raises(RefusedGreetingError, match=MYSELF):
        meet(ours(PEER), ours(PEER))


def test_one_link_is_enough() -> None:
    with pytest.raises(RefusedGreetingError, match="409 Already connected"):
        meet(ours(PEER), theirs(PEER, known=[ONE]))
    third, agreement = Dialer(ours(PEER, known=[OTHER]), HERE, THERE).answered(
        StatusHead(headers=Headers({"GUID": OTHER.hex()}))
    )
    assert (third.code, agreement) == (409, None)


def test_of_two_that_dial_each_other_one_gives_way() -> None:
    crossing = Address(HERE.host, 6346)
    meet(ours(PEER, guid=ONE), theirs(PEER, dialing=[crossing]))  # the lower one's stays
    with pytest.raises(RefusedGreetingError, match="409 Already connecting"):
        meet(theirs(PEER), replace(ours(PEER), dialing=[Address(HERE.host, 6346)]))


# What others say


CRAWLED = StatusHead(
    headers=Headers(
        {
            "User-Agent": "p2pswarm/0.1",
            "X-Ultrapeer": "True",
            "Peers": "10.0.0.3:6346, 10.0.0.4:1",
            "Leaves": "",
        }
    )
)


def test_a_crawler_hears_of_our_neighbours() -> None:
    peers = [Address("10.0.0.3", 6346), Address("10.0.0.4", 1)]
    answerer = Answerer(ours(ULTRAPEER, peers=peers), HERE, THERE)
    asked = ConnectHead(headers=Headers({"Crawler": "0.1", "User-Agent": "crawler"}))
    assert answerer.asked(asked) == CRAWLED
    assert not answerer.waiting
    assert answerer.agreement is None


def test_gnutella_0_4_only_where_it_is_wanted() -> None:
    old = ConnectHead(version="0.4")
    answerer = Answerer(ours(PEER, legacy=True), HERE, THERE)
    assert answerer.asked(old).encode() == b"GNUTELLA OK\n\n"
    assert answerer.agreement == Agreement(ours=PEER, theirs=PEER)
    for refusing in (
        ours(PEER),
        ours(LEAF, legacy=True),
        ours(PEER, legacy=True, ultrapeer_slots=0),
    ):
        with pytest.raises(RefusedGreetingError):
            Answerer(refusing, HERE, THERE).asked(old)


GTKG = """GNUTELLA/0.6 200 OK\r
User-Agent: gtk-gnutella/1.2.3 (2024-03-11; GTK2; Linux x86_64)\r
Pong-Caching: 0.1\r
Bye-Packet: 0.1\r
GGEP: 0.5\r
GUID: 087b31023c077ffb07b6382689065ff0\r
Vendor-Message: 0.2\r
Remote-IP: 10.0.0.1\r
Accept-Encoding: deflate\r
Content-Encoding: deflate\r
X-Ultrapeer: True\r
X-Requeries: False\r
X-Query-Routing: 0.2\r
X-Ultrapeer-Query-Routing: 0.1\r
X-Degree: 32\r
X-Max-TTL: 4\r
X-Dynamic-Querying: 0.1\r
X-Ext-Probes: 0.1\r
X-Guess: 0.2\r
X-Live-Since: Sun, 10 Mar 2024 12:00:00 +0000\r
X-Ultrapeer-Needed: True\r
X-Features: tls/1.0, sflag/0.1, HSEP/0.2\r
X-Try-Ultrapeers: 10.1.2.3, 10.1.2.4:6347,\r
\r
"""


def test_what_gtk_gnutella_says() -> None:
    (head,) = feed(HeadFramer(StatusHead.read), GTKG.encode(), [7])
    assert isinstance(head, StatusHead)
    third, agreement = Dialer(ours(LEAF), HERE, THERE).answered(head)
    assert third.encode() == b"GNUTELLA/0.6 200 OK\r\nContent-Encoding: deflate\r\n\r\n"
    assert agreement is not None
    assert agreement.theirs is ULTRAPEER
    assert agreement.address is None
    assert (agreement.degree, agreement.max_ttl) == (32, 4)
    assert agreement.inflate
    assert agreement.dynamic
    assert agreement.ext_probes
    assert agreement.query_routing
    assert agreement.guess
    assert agreement.tries.ultrapeers == (Address("10.1.2.3", 6346), Address("10.1.2.4", 6347))


@pytest.mark.parametrize("value", ["10.9.9.9:6347", "10.9.9.9:6347, 10.9.9.8:1", "127.0.0.1:6347"])
@pytest.mark.parametrize("name", ["Listen-IP", "X-My-Address", "Node"])
def test_nobody_listens_elsewhere_than_where_he_is(name: str, value: str) -> None:
    head = StatusHead(headers=Headers({"X-Ultrapeer": "True", name: value}))
    _, agreement = Dialer(ours(LEAF), HERE, THERE).answered(head)
    assert agreement is not None
    assert agreement.address == Address(THERE.host, 6347)


@pytest.mark.parametrize(
    ("degree", "ttl", "wanted"),
    [("9999", "99", (200, 4)), ("0", "0", (1, 1)), ("x", "-1", (6, 4)), ("5" * 5000, "²", (6, 4))],
)
def test_numbers_are_what_can_be(degree: str, ttl: str, wanted: tuple[int, int]) -> None:
    headers = {"X-Ultrapeer": "True", "X-Degree": degree, "X-Max-TTL": ttl, "GUID": "nonsense"}
    _, agreement = Dialer(ours(LEAF), HERE, THERE).answered(StatusHead(headers=Headers(headers)))
    assert agreement is not None
    assert (agreement.degree, agreement.max_ttl) == wanted
    assert agreement.guid is None


NAMES = ["X-Ultrapeer", "GUID", "Listen-IP", "Remote-IP", "X-Degree", "X-Try", "X-Max-TTL"]
NAMES += ["X-Try-Ultrapeers", "Content-Encoding", "X-Ultrapeer-Needed", "Crawler", "User-Agent"]
some_headers = st.dictionaries(st.sampled_from(NAMES), st.text(max_size=60), max_size=8)


@given(some_headers, some_headers, st.sampled_from(Role), st.sampled_from(["0.4", "0.6", "0.7"]))
def test_whatever_they_say(
    first: dict[str, str], third: dict[str, str], role: Role, version: str
) -> None:
    """There is an answer that can be said, or a refusal."""
    answerer = Answerer(ours(role, may_lead=True, legacy=True), HERE, THERE)
    try:
        reply = answerer.asked(ConnectHead(version, Headers(first)))
        read(reply)
        if answerer.waiting:
            answerer.concluded(StatusHead(headers=Headers(third)))
        head, _ = Dialer(ours(role, may_follow=True), HERE, THERE).answered(
            StatusHead(headers=Headers(first))
        )
        read(head)
    except RemoteError:
        pass
