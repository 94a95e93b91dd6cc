"""Questions that wait, and floods of them."""

from hypothesis import given, strategies as st

from p2pswarm.overlay.gnutella.search.waiting import MOST, Waiting


def test_each_asker_has_its_turn() -> None:
    waiting: Waiting[str] = Waiting()
    for asked in ("a1", "a2", "a3", "b1", "c1", "c2"):
        assert waiting.put(asked[0], asked)
    assert [waiting.take() for _ in range(len(waiting))] == ["a1", "b1", "c1", "a2", "c2", "a3"]


def test_a_flood_flushes_its_own() -> None:
    waiting: Waiting[int] = Waiting()
    for number in range(3 * MOST):
        assert waiting.put("flood", number) is (number < MOST)
    assert waiting.put("honest", -1)
    waiting.take()
    assert waiting.take() == -1


def test_many_askers_with_one_each_are_too_many() -> None:
    waiting: Waiting[int] = Waiting()
    assert sum(waiting.put(number, number) for number in range(2 * MOST)) == MOST


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), max_size=400))
def test_whatever_comes_and_goes(steps: list[tuple[bool, int]]) -> None:
    waiting: Waiting[int] = Waiting()
    for comes, asker in steps:
        if comes or not waiting:
            for _ in range(20):
                waiting.put(asker, asker)
        else:
            waiting.take()
        waiting.check()
