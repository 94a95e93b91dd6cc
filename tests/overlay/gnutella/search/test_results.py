from dataclasses import replace

import pytest

from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.formats.zones import Zone
from p2pswarm.overlay.gnutella.search.results import hits_of
from p2pswarm.wire.gnutella.hit import QueryHit
from p2pswarm.wire.gnutella.results import Result

HERE = Address("192.0.2.7", 6346)
SONG = Result(4, 1000, "blue moon.mp3", bytes(range(20)), bytes(24), b"\x22" * 20)


def hit_of(*results: Result, servent: int = 1, address: Address = HERE, **more: object) -> QueryHit:
    return QueryHit(address, 100, results, bytes([servent]) * 16, **more)  # type: ignore[arg-type]


def test_a_result_is_told_with_all_that_is_known() -> None:
    proxies = bytes([192, 0, 2, 9]) + (6346).to_bytes(2, "little")
    (hit,) = hits_of(hit_of(SONG, ggep={"PUSH": proxies}), Zone.LOCAL_NETWORK)
    assert (hit.name, hit.size, hit.index) == ("blue moon.mp3", 1000, 4)
    assert (hit.network, hit.nick, hit.host) == ("gnutella", "01" * 16, HERE)
    assert (hit.sha1, hit.tth, hit.info_hash) == (SONG.sha1, SONG.tth, InfoHash(b"\x22" * 20))
    assert (hit.peer, hit.firewalled) == (HERE, False)
    assert hit.proxies == (Address("192.0.2.9", 6346),)


@pytest.mark.parametrize(("address", "more"), [(HERE, {"push": True}), (HERE._replace(port=0), {})])
def test_who_cannot_be_dialed_is_no_peer(address: Address, more: dict[str, bool]) -> None:
    (hit,) = hits_of(hit_of(SONG, address=address, **more), Zone.LOCAL_NETWORK)
    assert (hit.peer, hit.firewalled) == (None, True)


def test_a_folder_is_part_of_the_name_and_never_of_the_filename() -> None:
    odd = replace(SONG, ggep={"PATH": b"../../etc/"})
    (hit,) = hits_of(hit_of(odd), Zone.LOCAL_NETWORK)
    assert hit.name == "../../etc/blue moon.mp3"
    assert hit.filename == "blue moon.mp3"


def test_a_host_nearer_than_who_told_of_it_has_to_be_asked_by_a_push() -> None:
    proxies = bytes([192, 168, 0, 9, 202, 24, 9, 9, 9, 9, 202, 24])
    told = hit_of(SONG, ggep={"PUSH": proxies})
    (near,) = hits_of(told, Zone.LOCAL_NETWORK)
    assert (near.host, near.peer, near.firewalled, len(near.proxies)) == (HERE, HERE, False, 2)
    (hit,) = hits_of(told, Zone.INTERNET)
    assert (hit.host, hit.peer, hit.firewalled) == (None, None, True)
    assert hit.proxies == (Address("9.9.9.9", 6346),)
