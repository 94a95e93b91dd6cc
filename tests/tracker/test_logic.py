from ipaddress import ip_address, ip_network
from random import Random

import pytest
from hypothesis import given, strategies as st

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import InfoHash, PeerId
from p2pswarm.wire.tracker import Announce, Counts, Event, Reply
from tracker.logic import Policy
from tracker.store import Swarm, SwarmPeer

ME = ip_address("203.0.113.5")
HASH, ID = InfoHash(b"h" * 20), PeerId(b"p" * 20)
PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def policy(interval: int = 1800, **options: bool) -> Policy:
    return Policy(interval, Random(1), trusted=PROXIES, **options)


def asked(**values: object) -> Announce:
    return Announce(HASH, ID, 6881, **values)  # type: ignore[arg-type]


def swarm(*peers: SwarmPeer, listed: bool = True) -> Swarm:
    return Swarm(Counts(1, 2, 3), list(peers), listed)


def test_intervals_scatter_by_a_tenth() -> None:
    rules = policy(1000)
    intervals = {rules.reply(asked(), swarm(), ME).interval for _ in range(500)}
    assert min(intervals) >= 900
    assert max(intervals) <= 1100
    assert len(intervals) > 100


@pytest.mark.parametrize(("interval", "least"), [(1, 1), (10, 1), (1800, 300)])
def test_the_min_interval_is_a_sixth(interval: int, least: int) -> None:
    reply = policy(interval).reply(asked(), swarm(), ME)
    assert reply.min_interval == least
    assert reply.interval >= least


def test_a_peer_may_miss_one_announce_before_it_is_forgotten() -> None:
    rules = policy(100)
    longest = max(rules.reply(asked(), swarm(), ME).interval for _ in range(500))
    assert 2 * longest <= rules.forget_after <= 2 * longest + 30


@pytest.mark.parametrize(
    ("numwant", "want"), [(None, 50), (0, 0), (7, 7), (200, 200), (10**9, 200)]
)
def test_how_many_peers_are_given(numwant: int | None, want: int) -> None:
    assert policy().want(asked(numwant=numwant)) == want
    assert policy().want(asked(numwant=numwant, event=Event.STOPPED)) == 0


def test_the_reply_says_what_the_store_said() -> None:
    v4 = SwarmPeer(b"\1\2\3\4\x1a\xe1", b"a" * 20, True)
    v6 = SwarmPeer(b"\x20\1" + bytes(14) + b"\x1a\xe1", b"b" * 20, False)
    reply = policy().reply(asked(), swarm(v4, v6), ME)
    assert (reply.peers, reply.peers6) == (v4.address, v6.address)
    assert (reply.complete, reply.downloaded, reply.incomplete) == (1, 2, 3)
    assert reply.external_ip == ME.packed
    assert (reply.warning, reply.peer_ids) == ("", {})


def test_peer_ids_are_there_for_who_wants_the_long_form() -> None:
    one = SwarmPeer(b"\1\2\3\4\x1a\xe1", b"a" * 20, True)
    reply = policy().reply(asked(compact=False), swarm(one), ME)
    assert Reply.decode(reply.encode(compact=False)).peer_ids == {one.address: one.peer_id}


def test_who_is_not_listed_is_told() -> None:
    assert "full" in policy().reply(asked(), swarm(listed=False), ME).warning
    gone = asked(event=Event.STOPPED)
    assert policy().reply(gone, swarm(listed=False), ME).warning == ""


def test_a_peer_is_where_it_speaks_from() -> None:
    peer = policy().peer(asked(left=5, hints=("9.9.9.9",)), ME)
    assert peer == SwarmPeer(ME.packed + b"\x1a\xe1", ID, False)
    assert policy().peer(asked(left=0), ME).seed


@pytest.mark.parametrize(
    ("hints", "host"),
    [
        (("9.9.9.9",), "9.9.9.9"),
        (("", "name.example", "9.9.9.9"), "9.9.9.9"),
        (("2001:db8::1",), "2001:db8::1"),
        (("::ffff:9.9.9.9",), "9.9.9.9"),
        (("224.0.0.1", "0.0.0.0", "255.255.255.255", "fe80::1%eth0"), "203.0.113.5"),
        ((), "203.0.113.5"),
    ],
)
def test_claims_count_only_where_they_are_allowed(hints: tuple[str, ...], host: str) -> None:
    allowed = policy(allow_ip=True).peer(asked(hints=hints), ME)
    assert allowed.address == ip_address(host).packed + b"\x1a\xe1"
    assert policy().peer(asked(hints=hints), ME).address[:4] == ME.packed


@pytest.mark.parametrize(
    ("remote", "forwarded", "caller"),
    [
        ("203.0.113.5", None, "203.0.113.5"),
        ("203.0.113.5", "9.9.9.9", "203.0.113.5"),
        ("::ffff:203.0.113.5", None, "203.0.113.5"),
        ("2001:db8::5", "9.9.9.9", "2001:db8::5"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "9.9.9.9", "9.9.9.9"),
        ("fd00::1", "9.9.9.9", "9.9.9.9"),
        ("::ffff:10.0.0.1", "2001:db8::9", "2001:db8::9"),
        ("10.0.0.1", "6.6.6.6, 9.9.9.9", "9.9.9.9"),
        ("10.0.0.1", "6.6.6.6, 9.9.9.9 , 10.0.0.2", "9.9.9.9"),
        ("10.0.0.1", "10.0.0.3,10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "9.9.9.9, unknown", "10.0.0.1"),
        ("10.0.0.1", "9.9.9.9:1234", "10.0.0.1"),
        ("10.0.0.1", "9.9.9.9\r\nX: y", "10.0.0.1"),
        ("10.0.0.1", "6.6.6.6," + "10.0.0.2," * 50 + "10.0.0.2", "10.0.0.2"),
    ],
)
def test_only_trusted_proxies_speak_for_others(
    remote: str, forwarded: str | None, caller: str
) -> None:
    assert policy().caller(remote, forwarded) == ip_address(caller)


@pytest.mark.parametrize("remote", ["", "unix", "1.2.3"])
def test_who_cannot_be_told_is_refused(remote: str) -> None:
    with pytest.raises(RemoteProtocolError, match="your address"):
        policy().caller(remote, None)


@given(st.text(max_size=80) | st.lists(st.ip_addresses()).map(lambda ips: ",".join(map(str, ips))))
def test_any_header_gives_some_address(forwarded: str) -> None:
    assert policy().caller("10.0.0.1", forwarded) is not None
