from hypothesis import given, strategies as st

from p2pswarm.overlay.supernode.postings import Postings, has

keys = st.sampled_from(["a", "b", b"h"])
numbers = st.integers(0, 9) | st.integers((1 << 32) - 3, (1 << 32) - 1)


@given(st.lists(st.tuples(st.booleans(), keys, numbers)))
def test_it_is_a_set_of_numbers_for_each_key(steps: list[tuple[bool, str | bytes, int]]) -> None:
    postings, model = Postings(), set[tuple[str | bytes, int]]()
    for put, key, number in steps:
        (postings.put if put else postings.drop)(key, number)
        (model.add if put else model.discard)((key, number))
        postings.check()
        assert list(postings.of(key)) == sorted(n for k, n in model if k == key)
    assert set(postings.all()) == model
    assert len(postings) == len({key for key, _ in model})


@given(st.lists(numbers, unique=True).map(sorted), numbers)
def test_a_number_is_found_where_it_stands(row: list[int], number: int) -> None:
    assert has(row, number) is (number in row)
