"""Seven stories across real containers, each with its own address, and a disk and a clock that are real."""

import time
from pathlib import Path

import pytest

from tests.containers.conftest import Containers, Swarms, Tell, make_share
from tests.containers.swarm import docker, until_all, waits
from tests.support.foreign import until

pytestmark = pytest.mark.containers

SLOW = {"DOWN_LIMIT": "2MiB/s"}  # 24 MiB take 12 s, time enough for things to happen in between


def test_from_a_seed_to_three_peers(swarms: Swarms, tmp_path: Path, tell: Tell) -> None:
    swarm = swarms(share=make_share(tmp_path / "200", 200_000_000))
    began = time.monotonic()
    swarm.up()
    until_all(swarm.peers)
    took = time.monotonic() - began
    tell(f"200 MB: {took:.1f} s from `up` to the completion of the last of three peers")
    assert len(swarm.peers) == 3
    expected = swarm.shared()
    assert len(expected) == 4
    assert [peer.checksums() for peer in swarm.peers] == [expected] * 3
    assert len({peer.told("result")[-1]["path"] for peer in swarm.peers}) == 3


def test_the_tracker_dies_and_comes_back_in_between(swarms: Swarms) -> None:
    swarm = swarms(DOWN_LIMIT="1MiB/s")  # a name that is gone may take ten seconds to be missed
    swarm.up()
    until(lambda: all(peer.share_done() > 0.1 for peer in swarm.peers), "everybody has begun")
    swarm.tracker.kill()
    until(lambda: any(peer.told("tracker_failed") for peer in swarm.peers), "somebody misses it")
    assert not all(peer.is_complete() for peer in swarm.peers)
    swarm.tracker.start()
    until(lambda: swarm.tracker.look("{{.State.Health.Status}}") == "healthy", "it is back")
    until_all(swarm.peers)
    until(lambda: swarm.stats()["peers"] == 4, "all have registered again")
    assert [peer.checksums() for peer in swarm.peers] == [swarm.shared()] * 3


def test_the_seed_goes_once_one_copy_is_out(swarms: Swarms) -> None:
    """One peer has a start, so that the others are far from complete when every piece is somewhere.

    They find each other through the tracker by UDP.
    """
    swarm = swarms(**SLOW, TRACKER="udp://tracker:6969/announce")
    swarm.up(peers=1)
    expected, count = swarm.shared(), swarm.seed.told("status")[-1]["pieces"]
    until(lambda: swarm.peers[0].share_done() > 0.25, "the first has begun")
    swarm.up(peers=3)

    def out() -> bool:
        return len(set[int]().union(*(peer.pieces() for peer in swarm.peers))) == count

    until(out, "one copy is out")
    swarm.seed.kill()
    assert sum(peer.is_complete() for peer in swarm.peers) <= 1
    until_all(swarm.peers)
    assert [peer.checksums() for peer in swarm.peers] == [expected] * 3


def test_a_peer_killed_at_half_goes_on_where_it_was(swarms: Swarms) -> None:
    swarm = swarms(**SLOW)
    swarm.up()
    peer = swarm.peers[0]
    until(lambda: peer.share_done() >= 0.5, "half is there")
    peer.kill()
    until(lambda: not peer.is_running(), "it is dead")
    first, lines = peer.pieces(), len(peer.events())
    assert not peer.is_complete()
    peer.start()
    until_all(swarm.peers)
    second = {event["piece"] for event in peer.events()[lines:] if event["event"] == "piece_done"}
    assert second
    assert first.isdisjoint(second)  # nothing that was verified came twice
    assert [peer.checksums() for peer in swarm.peers] == [swarm.shared()] * 3


def test_a_peer_is_cut_off_for_twenty_seconds(swarms: Swarms) -> None:
    swarm = swarms(**SLOW)
    swarm.up()
    peer, *others = swarm.peers
    until(lambda: peer.share_done() > 0.1, "it has begun")
    docker("network", "disconnect", swarm.network, peer.name)
    waits(20)
    assert not peer.is_complete()
    until_all(others)
    docker("network", "connect", swarm.network, peer.name)
    until_all([peer])
    assert peer.checksums() == swarm.shared()


def test_a_foreign_client_takes_and_gives(
    swarms: Swarms, containers: Containers, image: str, foreign_image: str
) -> None:
    swarm = swarms()
    swarm.up(peers=1)
    until_all(swarm.peers)
    expected = swarm.shared()
    aria2 = containers(
        "--network", swarm.network, "--user", "1000:1000", "--workdir", "/tmp", foreign_image,
        "aria2c", "--no-conf", "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false",
        "--enable-peer-exchange=false", "--bt-tracker-interval=2", "--file-allocation=none",
        "--seed-ratio=0.0", "http://tracker:6969/t/share.torrent",
    )  # fmt: skip
    until(lambda: swarm.stats()["seeds"] == 3, "aria2 is a seed too")
    told = aria2.run("sh", "-c", "cd share && find . -type f -exec sha256sum {} +")
    assert dict(reversed(line.split("  ")) for line in told.splitlines()) == expected
    for one in (swarm.seed, *swarm.peers):
        one.stop()
    late = containers(
        "--network", swarm.network, "--env", "P2PSWARM_JSON=true", image,
        "p2pswarm", "get", "http://tracker:6969/t/share.torrent", "--stay",
    )  # fmt: skip
    until_all([late])
    assert late.checksums() == expected
    hosts = {event["address"].rpartition(":")[0] for event in late.told("peer_joined")}
    assert hosts == {aria2.look("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")}


def test_one_peer_bridges_two_networks(
    swarms: Swarms, containers: Containers, image: str, prefix: str
) -> None:
    """Each side has a tracker of its own, and only the bridge can reach both."""
    sides = [f"{prefix}{name}" for name in ("a", "b")]
    announce = " ".join(f"http://tracker-of-{side}:6969/announce" for side in sides)
    here, there = swarms("a", TRACKER=announce), swarms("b", TRACKER=announce)
    for swarm in (here, there):
        swarm.up("tracker")
        docker("network", "disconnect", swarm.network, swarm.tracker.name)
        docker("network", "connect", "--alias", "tracker", "--alias", f"tracker-of-{swarm.name}",
               swarm.network, swarm.tracker.name)  # fmt: skip
    here.up()
    torrent = here.seed.run("base64", "-w0", "share.torrent")
    docker("run", "--rm", "--volume", f"{there.name}_torrents:/torrents", image,
           "sh", "-c", f"echo {torrent} | base64 -d >/torrents/share.torrent")  # fmt: skip
    there.up("peer", peers=2, alone=True)
    until(lambda: there.stats()["peers"] == 2, "the other side waits")
    assert not any(peer.told("piece_done") for peer in there.peers)
    bridge = containers(
        "--network", here.network, "--env", "P2PSWARM_JSON=true", image,
        "p2pswarm", "get", f"http://tracker-of-{here.name}:6969/t/share.torrent", "--stay",
        start=False,
    )  # fmt: skip
    docker("network", "connect", there.network, bridge.name)
    bridge.start()
    everybody = [*here.peers, bridge, *there.peers]
    until_all(everybody)
    assert [peer.checksums() for peer in everybody] == [here.shared()] * 6
    assert (here.stats()["peers"], there.stats()["peers"]) == (5, 3)
