"""Found by a newcomer: a download whose files were renamed could not be given with `seed`, which looked for
them under their old names."""

from pathlib import Path

from tests.support.world import World, simulate


def test_what_was_renamed_can_be_given_from_where_it_lies(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, home = world.many_files({"a": 50_000, "in/b": 30_000}, 16 << 10)
        folder, host = world.folder / "copy", world.host()
        node = await world.node(host)
        torrent = await node.add(meta, save_to=folder, reuse=[home], rename=[("in", "out")])
        await torrent.finished()
        await node.remove(torrent)
        seed = await node.add(meta, data=folder)
        await seed.finished()
        assert (folder / "many/out/b").exists()
        await node.remove(seed)
        (folder / "many/in").mkdir()
        (folder / "many/out/b").rename(folder / "many/in/b")  # by hand, back to where it was
        await (await node.add(meta, data=folder)).finished()

    simulate(tmp_path, story)
