"""Ultrapeers and leaves: who becomes what, who is asked, and how a dynamic query goes on."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.formats.zones import Zone
from p2pswarm.overlay.gnutella.links.agreement import Role
from p2pswarm.overlay.gnutella.place.slots import Wish
from p2pswarm.wire.gnutella.descriptor import Kind
from tests.support.gnutella import Mesh, Servent, play


async def two_tiers(
    mesh: Mesh, ultrapeers: int, leaves: int
) -> tuple[list[Servent], list[Servent]]:
    """All ultrapeers know each other; each leaf has one, and a file of its own."""
    above = [mesh.servent(f"above number{n}.ogg") for n in range(ultrapeers)]
    for number, servent in enumerate(above):
        others = [other.address for other in above[:number]]
        await servent.open(Wish.ULTRAPEER, others)
    await mesh.until(lambda: all(len(s.router.links) == ultrapeers - 1 for s in above))
    below = [mesh.servent(f"blue moon leaf{n}.mp3") for n in range(leaves)]
    for number, servent in enumerate(below):
        home = above[number % ultrapeers].address
        await servent.open(Wish.LEAF, [home], goal=1)
    await mesh.until(lambda: all(len(s.router.links) == 1 for s in below))
    await asyncio.sleep(5)  # tables
    return above, below


def names(servent: Servent) -> list[str]:
    return sorted(result.name for _, hit in servent.hits for result in hit.results)


def test_a_leaf_without_the_words_is_not_asked() -> None:
    async def story(mesh: Mesh) -> None:
        _, below = await two_tiers(mesh, 3, 9)
        below[0].ask("leaf5 moon")
        await asyncio.sleep(30)
        assert names(below[0]) == ["blue moon leaf5.mp3"]
        assert [n for n, servent in enumerate(below) if servent.queries] == [5]
        assert len(below[5].queries) == 1

    play(story)


def test_a_leaf_finds_everything() -> None:
    async def story(mesh: Mesh) -> None:
        above, below = await two_tiers(mesh, 3, 9)
        below[0].ask("moon")
        await asyncio.sleep(30)
        assert names(below[0]) == [f"blue moon leaf{n}.mp3" for n in range(1, 9)]
        below[1].ask("number2 above")
        await asyncio.sleep(30)
        assert names(below[1]) == ["above number2.ogg"]
        assert not any(servent.router.dropped["lies"] for servent in (*above, *below))

    play(story)


def test_an_ultrapeer_asks_its_leaves_and_the_others() -> None:
    async def story(mesh: Mesh) -> None:
        above, _ = await two_tiers(mesh, 3, 6)
        above[0].ask("blue moon")
        await asyncio.sleep(1)
        assert len(names(above[0])) == 6  # the tables tell where, so that the probe is enough
        await asyncio.sleep(60)
        assert len(names(above[0])) == 6
        assert above[0].question.done
        assert above[0].question.results == 6

    play(story)


def test_nobody_who_cannot_have_it_is_asked_on_the_last_hop() -> None:
    async def story(mesh: Mesh) -> None:
        above, below = await two_tiers(mesh, 4, 4)
        before = mesh.sent(Kind.QUERY)
        above[0].ask("leaf1")
        await asyncio.sleep(1)
        assert mesh.sent(Kind.QUERY) - before == 2  # to its ultrapeer, and from there to the leaf
        assert names(above[0]) == ["blue moon leaf1.mp3"]
        assert Counter(len(servent.queries) for servent in below) == {0: 3, 1: 1}

    play(story)


def test_a_query_goes_on_where_nobody_is_near_enough() -> None:
    """A row of ultrapeers: what is three hops away is found without any table that tells of it."""

    async def story(mesh: Mesh) -> None:
        row = [mesh.servent(f"row number{n}.ogg") for n in range(4)]
        for number, servent in enumerate(row):
            wish = [row[number - 1].address] if number else []
            await servent.open(Wish.ULTRAPEER, wish, goal=1 if number else 0)
        await mesh.until(lambda: [len(s.router.links) for s in row] == [1, 2, 2, 1])
        await asyncio.sleep(5)
        row[0].ask("number3")
        await asyncio.sleep(60)
        assert names(row[0]) == ["row number3.ogg"]
        assert row[0].hits[0][0].hops == 2

    play(story)


def test_new_words_are_told() -> None:
    async def story(mesh: Mesh) -> None:
        _, below = await two_tiers(mesh, 2, 4)
        below[3].names.append("something new.mp3")
        below[3].interests._gathering.add_name("something new.mp3")
        below[3].interests._publish()
        await asyncio.sleep(3)
        below[0].ask("something")
        await asyncio.sleep(30)
        assert names(below[0]) == ["something new.mp3"]

    play(story)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=5),  # TTL 4 reaches the last of five in a row
    st.lists(st.integers(0, 6), max_size=8),
    st.integers(0, 14),
    st.integers(1, 1 << 30),
)
def test_any_mesh_finds_everything_and_asks_nobody_in_vain(
    above: list[int], below: list[int], start: int, seed: int
) -> None:
    """Each ultrapeer but the first is linked to an earlier one, each leaf to an ultrapeer."""

    async def story(mesh: Mesh) -> None:
        tops = [mesh.servent(f"common top{n}") for n in range(len(above))]
        for number, servent in enumerate(tops):
            earlier = [tops[above[number] % number].address] if number else []
            await servent.open(Wish.ULTRAPEER, earlier, goal=1 if number else 0)
        kinds = ["common", "other"]
        leaves = [mesh.servent(f"{kinds[n % 2]} leaf{n}") for n in range(len(below))]
        for number, leaf in enumerate(leaves):
            await leaf.open(Wish.LEAF, [tops[below[number] % len(tops)].address], goal=1)
        await mesh.until(lambda: all(s.router.links for s in mesh.servents[1:]))
        await asyncio.sleep(10)
        asker = mesh.servents[start % len(mesh.servents)]
        asker.ask("common")
        await asyncio.sleep(200)
        everything = [name for s in mesh.servents if s is not asker for name in s.names]
        assert names(asker) == sorted(name for name in everything if "common" in name)
        for servent in mesh.servents:
            assert len(servent.queries) <= 1
            assert not servent.queries or "common" in servent.names[0]
        assert not set(mesh.dropped) - {"duplicates"}

    play(story, seed)


# Who becomes what


def test_who_starts_alone_becomes_the_ultrapeer_of_the_others() -> None:
    async def story(mesh: Mesh) -> None:
        first = mesh.servent()
        await first.open(Wish.AUTO)
        for _ in range(5):
            await mesh.servent().open(Wish.AUTO, [first.address])
        await mesh.until(lambda: len(first.router.leaves()) == 5)
        assert first.router.role is Role.ULTRAPEER
        assert all(servent.router.role is Role.LEAF for servent in mesh.servents[1:])

    play(story)


def test_leaves_without_an_ultrapeer_make_one_of_them() -> None:
    async def story(mesh: Mesh) -> None:
        first = mesh.servent()
        await first.open(Wish.ULTRAPEER)
        for _ in range(5):
            await mesh.servent("blue moon.mp3").open(Wish.AUTO, [first.address])
        await mesh.until(lambda: len(first.router.leaves()) == 5)
        await asyncio.sleep(300)  # pongs tell them of each other
        await first.close()
        rest = mesh.servents[1:]
        await mesh.until(lambda: any(s.router.role is Role.ULTRAPEER for s in rest))
        await asyncio.sleep(300)
        assert all(servent.router.peers() or servent.router.leaves() for servent in rest)

    play(story)


def test_who_only_wants_to_be_a_leaf_never_leads() -> None:
    async def story(mesh: Mesh) -> None:
        one, other = mesh.servent(), mesh.servent()
        await one.open(Wish.LEAF)
        await other.open(Wish.AUTO, [one.address], firewalled=True)
        await asyncio.sleep(120)
        assert one.router.role is other.router.role is Role.LEAF
        assert not one.router.links

    play(story)


def test_an_ultrapeer_that_is_not_needed_becomes_a_leaf() -> None:
    async def story(mesh: Mesh) -> None:
        first, second = mesh.servent(), mesh.servent()
        await first.open(Wish.ULTRAPEER, goal=0)
        await second.open(Wish.AUTO)
        await mesh.until(lambda: second.router.role is Role.ULTRAPEER)
        second.hosts.tell(first.address, "10.0.0.9", 0.0, zone=Zone.LOCAL_NETWORK)
        await mesh.until(lambda: bool(second.router.links))
        assert second.router.role is Role.LEAF
        assert [link.theirs for link in first.router.links] == [Role.LEAF]

    play(story)


def test_a_leaf_is_told_of_the_ultrapeer_of_another() -> None:
    async def story(mesh: Mesh) -> None:
        top, leaf, third = mesh.servent(), mesh.servent(), mesh.servent()
        await top.open(Wish.ULTRAPEER)
        await leaf.open(Wish.AUTO, [top.address])
        await mesh.until(lambda: bool(leaf.router.links))
        await third.open(Wish.LEAF, [leaf.address])
        await mesh.until(lambda: third.neighbours_of == {top.host.name})

    play(story)


def test_flat_nodes_and_ultrapeers_are_equals() -> None:
    async def story(mesh: Mesh) -> None:
        flat, top = mesh.servent("blue moon.mp3"), mesh.servent("blue moon.ogg")
        leaf = mesh.servent("blue moon.wav")
        await top.open(Wish.ULTRAPEER)
        await flat.open(Wish.FLAT, [top.address])
        await leaf.open(Wish.LEAF, [top.address])
        await mesh.until(lambda: len(top.router.links) == 2)
        await asyncio.sleep(5)
        flat.ask("moon")
        leaf.ask("moon")
        await asyncio.sleep(30)
        assert names(flat) == ["blue moon.ogg", "blue moon.wav"]
        assert names(leaf) == ["blue moon.mp3", "blue moon.ogg"]

    play(story)


def test_who_cannot_be_a_leaf_of_flat_nodes_becomes_their_equal() -> None:
    async def story(mesh: Mesh) -> None:
        flat, other = mesh.servent(), mesh.servent()
        await flat.open(Wish.FLAT)
        await other.open(Wish.AUTO, [flat.address])
        await mesh.until(lambda: bool(other.router.links), 8)
        assert other.router.role is Role.ULTRAPEER

    play(story)


@pytest.mark.parametrize("wish", [Wish.FLAT, Wish.LEAF, Wish.ULTRAPEER])
def test_what_is_asked_when_nobody_is_there_is_asked_later(wish: Wish) -> None:
    async def story(mesh: Mesh) -> None:
        asker, late = mesh.servent(), mesh.servent("blue moon.ogg")
        await asker.open(wish, [late.address])
        asker.ask("blue moon")
        await asyncio.sleep(10)
        await late.open(Wish.FLAT if wish is Wish.FLAT else Wish.ULTRAPEER)
        await mesh.until(lambda: names(asker) == ["blue moon.ogg"])
        await asyncio.sleep(60)
        assert len(late.queries) == 1

    play(story)
