from hashlib import sha1

from hypothesis import given, strategies as st

from p2pswarm.disk.begun import Begun


@given(st.binary(max_size=2000), st.lists(st.integers(0, 2000), max_size=8))
def test_hashed_in_any_steps_it_is_the_hash_of_the_whole(data: bytes, steps: list[int]) -> None:
    begun, piece = Begun(), memoryview(data)
    for step in sorted(min(step, len(data)) for step in steps):
        begun.take(piece[:step])
        assert begun.hashed == step
    assert begun.finish(piece) == sha1(data).digest()
    assert begun.finish(piece) == sha1(data).digest()  # a disk that was full is tried again
