"""Push proxies: who was asked and agreed, and for whom we are one."""

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.gnutella.udp.proxies import Proxies
from p2pswarm.wire.gnutella.descriptor import Kind
from p2pswarm.wire.gnutella.vendor import PushProxyAck, PushProxyRequest, read_vendor

US, LEAF, OTHER = b"u" * 16, b"l" * 16, b"o" * 16
HERE = Address("80.0.0.1", 6346)


def test_a_leaf_asks_and_names_who_agreed_until_they_are_gone() -> None:
    proxies: Proxies[str] = Proxies(US)
    request = proxies.request("up")
    assert (request.guid, request.kind, request.ttl) == (US, Kind.VENDOR, 1)
    assert read_vendor(request.payload) == PushProxyRequest(2)
    assert proxies.proxies() == ()
    assert proxies.agreed("up", US, PushProxyAck(6346, HERE.host), HERE.host)
    assert proxies.proxies() == (HERE,)
    proxies.forget("up")
    proxies.forget("up")
    assert proxies.proxies() == ()


def test_the_old_acknowledgement_has_a_port_only() -> None:
    proxies: Proxies[str] = Proxies(US)
    proxies.request("up")
    assert proxies.agreed("up", US, PushProxyAck(6346), HERE.host)
    assert proxies.proxies() == (HERE,)


def test_a_proxy_is_where_we_are_connected_to_whatever_it_says() -> None:
    proxies: Proxies[str] = Proxies(US)
    proxies.request("up")
    assert proxies.agreed("up", US, PushProxyAck(6346, "81.9.9.9"), HERE.host)
    assert proxies.proxies() == (HERE,)


def test_who_was_not_asked_is_no_proxy() -> None:
    proxies: Proxies[str] = Proxies(US)
    proxies.request("up")
    assert not proxies.agreed("other", US, PushProxyAck(6346), HERE.host)
    assert not proxies.agreed("up", OTHER, PushProxyAck(6346), HERE.host)
    assert not proxies.agreed("up", US, PushProxyAck(0), HERE.host)
    assert proxies.proxies() == ()


def test_a_proxy_that_no_hit_can_name_is_none() -> None:
    proxies: Proxies[str] = Proxies(US)
    proxies.request("up")
    assert not proxies.agreed("up", US, PushProxyAck(6346), "2001:db8::1")
    assert proxies.agreed("up", US, PushProxyAck(6346), f"::ffff:{HERE.host}")
    assert proxies.proxies() == (HERE,)


def test_four_proxies_are_named_at_most() -> None:
    proxies: Proxies[int] = Proxies(US)
    for number in range(9):
        proxies.request(number)
        proxies.agreed(number, US, PushProxyAck(6346), f"80.0.0.{number}")
    assert len(proxies.proxies()) == 4


def test_an_ultrapeer_agrees_and_finds_the_leaf_until_it_is_gone() -> None:
    proxies: Proxies[str] = Proxies(US)
    answer = proxies.asked("leaf", LEAF, HERE)
    assert answer is not None
    assert (answer.guid, read_vendor(answer.payload)) == (LEAF, PushProxyAck(6346, HERE.host))
    assert proxies.leaf(LEAF) == "leaf"
    proxies.forget("leaf")
    assert proxies.leaf(LEAF) is None


def test_nobody_takes_the_pushes_of_another_or_ours() -> None:
    proxies: Proxies[str] = Proxies(US)
    proxies.asked("leaf", LEAF, HERE)
    assert proxies.asked("thief", LEAF, HERE) is None
    assert proxies.asked("thief", US, HERE) is None
    assert proxies.leaf(LEAF) == "leaf"


def test_a_leaf_has_one_name() -> None:
    proxies: Proxies[str] = Proxies(US)
    for number in range(1000):
        proxies.asked("leaf", number.to_bytes(16, "big"), HERE)
    assert proxies.leaf(bytes(16)) is None
    assert proxies.leaf((999).to_bytes(16, "big")) == "leaf"
