"""Names of dots cover neither each other nor dots."""

from itertools import combinations

from hypothesis import given, strategies as st

from p2pswarm.lab.labels import Box, placed

AREA = Box(0, 0, 400, 200)
spots = st.tuples(st.integers(0, 400), st.integers(0, 200))


@given(st.lists(spots, min_size=1, max_size=8, unique=True))
def test_names_keep_clear_of_each_other(dots: list[tuple[int, int]]) -> None:
    boxes = placed(dots, [90.0] * len(dots), 12, AREA)
    assert not any(a.meets(b) for a, b in combinations(boxes, 2))
    assert all(AREA.holds(box) for box in boxes)


def test_a_name_stands_at_the_right_of_its_dot_and_at_the_edge_at_the_left() -> None:
    middle, edge = placed([(100, 100), (390, 100)], [50, 50], 12, AREA)
    assert middle.left == 109
    assert edge.right == 381


def test_without_room_there_is_a_place_all_the_same() -> None:
    assert len(placed([(5, 5)] * 3, [900.0] * 3, 12, AREA)) == 3
