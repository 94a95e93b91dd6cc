import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence

import pytest
from hypothesis import given, strategies as st

from p2pswarm.errors import RemoteError
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.overlay import search as room
from p2pswarm.overlay.network import Cost
from p2pswarm.overlay.query import Hit, Query
from p2pswarm.overlay.search import Find, Folding, Search


def hit(host: int, size: int = 1, **more: bytes | InfoHash | None) -> Hit:
    return Hit("a file", size, "net", Address(f"10.0.0.{host}", 1), **more)  # type: ignore[arg-type]


def folded(hits: Iterable[Hit]) -> list[set[str]]:
    folding = Folding()
    for each in hits:
        folding.add(each)
    return [{found.host.host for found in find.hits if found.host} for find in folding.finds]


A, B = b"\xaa" * 20, b"\xbb" * 20
IA, IB = InfoHash(A), InfoHash(B)


# Folding


def test_hosts_of_one_hash_are_one_file() -> None:
    assert folded([hit(1, sha1=A), hit(2, sha1=B), hit(3, sha1=A)]) == [
        {"10.0.0.1", "10.0.0.3"},
        {"10.0.0.2"},
    ]


def test_a_hit_with_two_hashes_joins_those_with_one() -> None:
    hits = [hit(1, sha1=A), hit(2, sha1=A, info_hash=IB), hit(3, info_hash=IB)]
    assert folded(hits) == [{"10.0.0.1", "10.0.0.2", "10.0.0.3"}]


def test_a_weak_hash_joins_only_what_no_strong_one_parts() -> None:
    weak = b"\x01" * 16
    hits = [hit(1, md5=weak, sha1=A), hit(2, md5=weak, sha1=B), hit(3, md5=weak)]
    assert folded(hits) == [{"10.0.0.1", "10.0.0.3"}, {"10.0.0.2"}]


def test_another_size_is_another_file() -> None:
    assert len(folded([hit(1, 1, sha1=A), hit(2, 2, sha1=A)])) == 2


def test_without_a_hash_every_host_is_alone() -> None:
    assert len(folded([hit(1), hit(2)])) == 2


def test_a_host_counts_once() -> None:
    folding = Folding()
    first = folding.add(hit(1, sha1=A))
    assert first is not None
    assert folding.add(hit(1, sha1=A)) is None
    assert len(first.hits) == 1


def test_what_a_liar_claims_does_not_take_a_hash_away() -> None:
    """The first claim of a hash owns it; who combines it with another one's joins the stronger."""
    folding = Folding()
    one, two = folding.add(hit(1, info_hash=IA, sha1=A)), folding.add(hit(2, info_hash=IB, sha1=B))
    assert (
        folding.add(hit(3, info_hash=IA, sha1=B)) is not None
    )  # contradicts both: a file of its own
    assert folding.add(hit(4, sha1=B)) is None
    assert one is not None
    assert two is not None
    assert (len(one.hits), len(two.hits)) == (1, 2)


def test_hosts_and_files_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_FINDS", 2)
    folding = Folding()
    for number in range(room.MAX_HOSTS + 10):
        folding.add(Hit("a", 1, "net", nick=str(number), sha1=A))
    for number in range(10):
        folding.add(hit(number))
    assert [len(find.hits) for find in folding.finds] == [room.MAX_HOSTS, 1]
    assert folding.dropped == 9


@given(
    st.lists(
        st.builds(
            hit,
            st.integers(1, 5),
            st.integers(1, 2),
            sha1=st.sampled_from([None, A, B]),
            md5=st.sampled_from([None, A[:16], B[:16]]),
            info_hash=st.sampled_from([None, IA, IB]),
        ),
        max_size=20,
    )
)
def test_nothing_folded_contradicts_itself(hits: list[Hit]) -> None:
    folding = Folding()
    for each in hits:
        folding.add(each)
    for find in folding.finds:
        assert len({each.size for each in find.hits}) == 1
        for algorithm in ("sha1", "md5", "info_hash"):
            assert len({getattr(each, algorithm) for each in find.hits} - {None}) <= 1
    assert {each.host for find in folding.finds for each in find.hits} == {
        each.host for each in hits
    }


# Searching


class Net:
    """A network that says these hits, then fails or ends or goes on for ever."""

    def __init__(self, name: str, hits: Sequence[Hit], end: Exception | bool = True) -> None:
        self.name = name
        self.hits = hits
        self.end = end
        self.closed = False

    async def join(self) -> None: ...

    async def leave(self) -> None: ...

    def share(self, catalog: object) -> None: ...

    async def search(self, query: Query, cost: Cost) -> AsyncGenerator[Hit, None]:
        try:
            for each in self.hits:
                cost.messages += 1
                yield each
            if isinstance(self.end, Exception):
                raise self.end
            if not self.end:
                await asyncio.Event().wait()
        finally:
            self.closed = True


async def test_networks_are_asked_at_once_and_their_hits_folded() -> None:
    nets = [Net("one", [hit(1, sha1=A)]), Net("two", [hit(2, sha1=A), hit(3, sha1=B)])]
    async with Search(nets, Query(("file",))) as search:
        finds = [find async for find in search]
    assert sorted(len(find.hits) for find in finds) == [1, 2]
    assert list(search.finds) == finds
    assert [(cost.hits, cost.messages) for cost in search.costs.values()] == [(1, 1), (2, 2)]
    for cost in search.costs.values():
        assert cost.first is not None
        assert cost.last is not None
        assert cost.first <= cost.last <= cost.took


async def test_one_that_fails_only_says_so() -> None:
    nets = [Net("broken", [hit(1)], RemoteError("gone")), Net("good", [hit(2)])]
    async with Search(nets, Query()) as search:
        assert len([find async for find in search]) == 2
    assert {name: str(error) for name, error in search.failures.items()} == {"broken": "gone"}


async def test_a_bug_in_one_is_not_hidden() -> None:
    async def searched() -> None:
        async with Search([Net("bug", [], ZeroDivisionError())], Query()) as search:
            raise AssertionError([find async for find in search])  # that never ends by itself

    with pytest.raises(BaseExceptionGroup) as caught:
        await searched()
    assert caught.group_contains(ZeroDivisionError)


async def test_the_first_hit_comes_while_others_are_silent() -> None:
    nets = [Net("silent", [], False), Net("quick", [hit(1)], False)]
    async with Search(nets, Query()) as search:
        async for find in search:
            assert isinstance(find, Find)
            break
    assert all(net.closed for net in nets)


async def test_a_network_is_cut_at_what_was_asked_for() -> None:
    nets = [Net("spam", [hit(n % 250) for n in range(5000)], False)]
    async with Search(nets, Query(limit=30)) as search:
        assert len([find async for find in search]) == 30
    assert nets[0].closed


async def test_what_does_not_answer_the_query_is_not_shown() -> None:
    net = Net("spam", [Hit("buy this", 1, "spam"), Hit("Blue Moon", 1, "spam")])
    async with Search([net], Query(("moon",), limit=1)) as search:
        assert [find.name async for find in search] == ["Blue Moon"]
    assert search.costs["spam"].hits == 1


async def test_who_does_not_read_makes_its_networks_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "WAITING", 5)
    net = Net("eager", [hit(1, n) for n in range(100)], False)
    async with Search([net], Query()) as search:
        for _ in range(50):
            await asyncio.sleep(0)
        assert search.costs["eager"].messages <= 7
