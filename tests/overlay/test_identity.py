from pathlib import Path
from random import Random

import pytest

from p2pswarm.overlay.identity import Identity
from p2pswarm.wire.gnutella.descriptor import new_guid

GUIDS = [new_guid(Random(seed)) for seed in range(4)]


def test_who_comes_again_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "gnutella" / "guid"
    first = Identity.take(path, GUIDS[1], "gnutella")
    first.close()
    first.close()
    assert Identity.take(path, GUIDS[2], "gnutella").guid == first.guid


def test_two_at_a_time_are_two(tmp_path: Path) -> None:
    path = tmp_path / "guid"
    first, second = (
        Identity.take(path, GUIDS[1], "gnutella"),
        Identity.take(path, GUIDS[2], "gnutella"),
    )
    assert first.guid != second.guid
    second.close()
    first.close()
    assert Identity.take(path, GUIDS[3], "gnutella").guid == first.guid


@pytest.mark.parametrize("damage", [b"", b"short", bytes(16), b"\xff" * 17])
def test_a_damaged_one_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "guid"
    path.write_bytes(damage)
    identity = Identity.take(path, GUIDS[1], "gnutella")
    assert identity.guid[8] == 0xFF
    assert path.read_bytes() == identity.guid


def test_a_folder_that_cannot_be_had_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert len(Identity.take(tmp_path / "file" / "guid", GUIDS[1], "gnutella").guid) == 16


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "guid").symlink_to(victim)
    assert len(Identity.take(tmp_path / "guid", GUIDS[1], "gnutella").guid) == 16
    assert victim.read_bytes() == b"precious"
