"""Files of a Gnutella network of processes: pushed, in ranges, resumed, and checked by their tiger trees."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.mesh import PATIENCE, Mesh
from tests.support.processes import Program

MIB = 1 << 20
SONG = os.urandom(5 * MIB + 321)
PIECES = 6
AT_A_TIME = 524288  # bytes that a foreign servent gives in one answer
SPAN = 64 << 10  # bytes below a node of the tree


def events(running: Program, name: str) -> list[dict[str, Any]]:
    return [event for event in list(running.events) if event["event"] == name]


def fetch(
    mesh: Mesh, hit: object, *more: object, connect: int = 0, to: str = "to"
) -> tuple[dict[str, Any], Program]:
    """What was told of a download, and the command; the file is what it should be."""
    with mesh.run("fetch", hit, "-o", mesh.folder / to, *more, connect=[connect]) as fetching:
        result = fetching.wait_for("result", within=PATIENCE)
        assert fetching.wait(PATIENCE) == 0, fetching.stderr
    assert Path(result["path"]).read_bytes() == SONG
    return result, fetching


def hashed(mesh: Mesh, connect: int) -> bool:
    rows, _ = mesh.find("blue moon", 1, connect=[connect])
    return all("info_hash" in row for row in rows)


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """Of somebody who is none of us."""
    path = tmp_path / "blue moon.mp3"
    path.write_bytes(SONG)
    return path


@pytest.fixture
def lead(mesh: Mesh) -> Mesh:
    """An ultrapeer is there."""
    mesh.share({}, (), "--gnutella-role", "ultrapeer").wait_for("network", within=PATIENCE)
    return mesh


def test_a_firewalled_node_is_pushed_from_another_process_than_found_it(lead: Mesh) -> None:
    lead.share({"blue moon.mp3": SONG}, [0], "--gnutella-role", "leaf", "--firewalled")
    lead.share({}, [0], "--gnutella-role", "ultrapeer")
    lead.until(lambda: hashed(lead, connect=2), "it is found, and hashed")
    (row,), _ = lead.find("blue moon", 1, connect=[2])
    assert row["firewalled"]
    _, fetching = fetch(lead, 1, connect=2, to="by number")
    assert not events(fetching, "peer_joined")  # nobody can dial it, and so it gives in a row
    fetch(lead, row["token"], to="by token")
    lead.until(lambda: lead.received(1, "push") >= 2, "it was pushed by both")


def test_a_firewalled_stranger_without_info_hash_is_pushed(lead: Mesh, song: Path) -> None:
    stranger = lead.foreign(50, song, "--firewalled")
    (row,), _ = lead.find("blue moon", 1)
    assert row["firewalled"]
    assert "info_hash" not in row
    result, _ = fetch(lead, 1)
    assert result["verified_by"] == "its SHA-1 and its tiger tree"
    assert {event["index"] for event in events(stranger, "pushed")} == {7}


def test_an_interrupted_download_goes_on_where_it_was_by_ranges(lead: Mesh, song: Path) -> None:
    stranger = lead.foreign(50, song)
    lead.find("blue moon", 1)
    slowly = ("--down-limit", "600KiB")
    with lead.run("fetch", 1, "-o", lead.folder / "to", *slowly, connect=[0]) as fetching:
        for number in (1, 2):
            lead.until(lambda n=number: len(events(fetching, "piece_done")) >= n, "pieces")
        fetching.stop()
    had = {event["piece"] for event in events(fetching, "piece_done")}
    assert 2 <= len(had) < PIECES
    earlier = events(stranger, "request")
    _, fetching = fetch(lead, 1)
    fetched = {event["piece"] for event in events(fetching, "piece_done")}
    assert fetched == set(range(PIECES)) - had
    asked = events(stranger, "request")
    assert all(event["end"] - event["start"] <= AT_A_TIME for event in asked)
    for event in asked[len(earlier) :]:
        assert had.isdisjoint(range(event["start"] // MIB, (event["end"] - 1) // MIB + 1)), event
    assert not events(fetching, "peer_joined")


def test_each_byte_is_asked_for_once_when_connections_are_cut(lead: Mesh, song: Path) -> None:
    stranger = lead.foreign(50, song, "--cut", 1_400_000)
    lead.find("blue moon", 1)
    fetch(lead, 1)
    starts = [event["start"] for event in events(stranger, "request")]
    assert sorted(set(starts)) == starts
    assert {1_400_000, 2_800_000, 4_200_000} <= set(starts)


def test_the_tree_catches_a_flipped_byte_and_another_host_mends_it(lead: Mesh, song: Path) -> None:
    wrong = 1_500_000
    lead.foreign(50, song, "--flip", wrong, "--other", lead.host(51))
    lead.find("blue moon", 1)
    honest = lead.foreign(51, song)
    result, fetching = fetch(lead, 1)
    start = wrong // SPAN * SPAN
    named = f"blue moon.mp3: bytes {start}-{start + SPAN - 1} do not match the tiger tree"
    assert [note for note in fetching.notes() if "do not match" in note] == [named]
    assert [event["address"] for event in events(fetching, "peer_banned")] == [lead.host(50)]
    assert [event["piece"] for event in events(fetching, "piece_failed")] == [wrong // MIB]
    assert result["verified_by"] == "its SHA-1 and its tiger tree"
    starts = [event["start"] for event in events(honest, "request")]
    assert min(starts) >= wrong // MIB * MIB  # what was right before was kept


def test_a_swarm_and_plain_ranges_bring_one_file(lead: Mesh, song: Path) -> None:
    stranger = lead.foreign(50, song)
    lead.share({"blue moon.mp3": SONG}, [0], "--gnutella-role", "leaf", "--up-limit", "500KiB")

    def both_are_found() -> bool:
        lead.search("blue moon")
        path = lead.folder / "asker" / "p2pswarm" / "last-search.json"
        return [len(hits) for hits in json.loads(path.read_text("utf-8"))] == [2]

    lead.until(both_are_found, "two hosts have the same file")
    result, fetching = fetch(lead, 1, "--down-limit", "1MiB")
    assert result["verified_by"] == "the SHA-1 of every piece"
    assert {event["address"] for event in events(fetching, "peer_joined")} == {lead.host(1)}
    assert events(stranger, "request")
