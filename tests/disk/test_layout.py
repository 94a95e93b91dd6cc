import pytest
from hypothesis import given, strategies as st

from p2pswarm.disk.layout import Layout, Span

lengths_of_files = st.lists(st.one_of(st.just(0), st.integers(0, 9)), max_size=12)


def naive(lengths: list[int]) -> list[tuple[int, int]]:
    """For every byte of the torrent: its file, and where it is there."""
    return [(file, at) for file, length in enumerate(lengths) for at in range(length)]


@given(lengths_of_files, st.data())
def test_spans_are_what_a_walk_over_every_byte_gives(
    lengths: list[int], data: st.DataObject
) -> None:
    layout = Layout(lengths)
    offset = data.draw(st.integers(0, layout.total))
    length = data.draw(st.integers(0, layout.total - offset))
    expected = naive(lengths)[offset : offset + length]
    spans = layout.spans(offset, length)
    assert [(file, start + i) for file, start, n in spans for i in range(n)] == expected
    assert all(span.length for span in spans)
    assert len({span.file for span in spans}) == len(spans)
    files = [file for file, _ in expected]
    assert layout.files_of(offset, length) == (
        range(files[0], files[-1] + 1) if files else range(0)
    )


@given(lengths_of_files)
def test_files_stand_end_to_end(lengths: list[int]) -> None:
    layout = Layout(lengths)
    assert len(layout) == len(lengths)
    assert layout.total == sum(lengths)
    at = 0
    for file, length in enumerate(lengths):
        assert layout.bytes_of(file) == (at, at + length)
        at += length


def test_empty_files_own_no_byte_but_keep_their_number() -> None:
    layout = Layout([0, 3, 0, 0, 5, 0])
    assert layout.spans(2, 3) == [Span(1, 2, 1), Span(4, 0, 2)]
    assert layout.spans(3, 1) == [Span(4, 0, 1)]
    assert layout.files_of(0, 8) == range(1, 5)
    assert layout.bytes_of(5) == (8, 8)


@pytest.mark.parametrize(("offset", "length"), [(-1, 2), (0, 9), (8, 1), (3, -1)])
def test_bytes_outside_are_refused(offset: int, length: int) -> None:
    layout = Layout([8])
    with pytest.raises(ValueError, match="of 8"):
        layout.spans(offset, length)
    with pytest.raises(ValueError, match="of 8"):
        layout.files_of(offset, length)


@pytest.mark.parametrize("file", [-1, 1])
def test_a_file_that_is_not_there_is_refused(file: int) -> None:
    with pytest.raises(ValueError, match="of 1"):
        Layout([8]).bytes_of(file)
