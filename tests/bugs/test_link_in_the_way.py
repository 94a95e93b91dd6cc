"""A download onto the name of a symbolic link was paused for ever, and `--timeout` did not end it."""

from pathlib import Path

import pytest

from p2pswarm.errors import TargetExistsError
from p2pswarm.formats.building import build
from p2pswarm.node import Node
from tests.support.quiet import quiet


@pytest.mark.parametrize("there", [True, False])
async def test_a_link_in_the_way_is_an_error_at_once(tmp_path: Path, *, there: bool) -> None:
    victim = tmp_path / "victim"
    if there:
        victim.write_text("precious")
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "a").symlink_to(victim)
    metainfo = build(name="a", piece_length=1 << 14, pieces=bytes(20), length=5)
    async with Node(quiet(port=0, bind="127.0.0.1", data_dir=tmp_path / "home")) as node:
        with pytest.raises(TargetExistsError, match="symbolic link"):
            await node.add(metainfo, save_to=tmp_path / "to")
    assert victim.exists() is there
