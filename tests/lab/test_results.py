"""Results are kept as JSON and come back equal."""

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from p2pswarm.lab.results import Chart, Line, Result, Table, from_json, to_json
from tests.lab import samples

numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
cells = st.none() | st.booleans() | st.text() | numbers
tables = st.builds(
    Table, st.text(), st.tuples(st.text()), st.lists(st.tuples(cells)).map(tuple), st.text()
)
lines = st.builds(Line, st.text(), st.lists(st.tuples(numbers, numbers)).map(tuple))
charts = st.builds(
    Chart, st.text(), st.text(), st.text(), st.lists(lines).map(tuple), ticks=st.tuples(st.text())
)
results = st.builds(
    Result,
    st.text(),
    st.text(),
    st.dictionaries(st.text(), cells),
    st.lists(tables, max_size=2).map(tuple),
    st.lists(charts, max_size=2).map(tuple),
)


@given(results)
def test_a_result_comes_back_from_json(result: Result) -> None:
    assert from_json(to_json(result)) == result


def test_a_spread_comes_back_from_json() -> None:
    assert from_json(to_json(samples.result())) == samples.result()


@pytest.mark.parametrize("fact", [float("nan"), float("inf"), b"bytes"])
def test_what_json_has_no_word_for_is_refused(fact: object) -> None:
    with pytest.raises(ValueError, match="JSON"):
        to_json(replace(samples.result(), facts={"fact": fact}))
