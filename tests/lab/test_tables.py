"""Tables in a terminal and in docs."""

import pytest

from p2pswarm.lab import tables
from p2pswarm.lab.results import Chart, Line, Table
from tests.lab import samples

COSTS = Table(
    "Costs",
    ("architecture", "messages", "recall", "exact"),
    (("flood", 31_000, 0.98, True), ("super nodes", 9, 1.0, None)),
    "Means.",
)


def test_a_terminal_gets_numbers_at_the_right_and_words_at_the_left() -> None:
    assert tables.as_text(COSTS).splitlines() == [
        "Costs",
        "",
        "architecture  messages  recall  exact",
        "------------  --------  ------  -----",
        "flood           31,000    0.98  yes",
        "super nodes          9    1.00  -",
        "",
        "Means.",
    ]


def test_docs_get_markdown() -> None:
    assert tables.as_markdown(COSTS).splitlines() == [
        "**Costs**",
        "",
        "| architecture | messages | recall | exact |",
        "| --- | ---: | ---: | --- |",
        "| flood | 31,000 | 0.98 | yes |",
        "| super nodes | 9 | 1.00 | - |",
        "",
        "Means.",
    ]


def test_a_text_cannot_break_a_table() -> None:
    table = Table("t", ("a|b",), (("two\nlines | and <b>",),))
    assert tables.as_markdown(table).splitlines()[2:] == [
        "| a\\|b |",
        "| --- |",
        "| two lines \\| and \\<b> |",
    ]
    assert len(tables.as_text(table).splitlines()) == 5


def test_a_table_may_be_empty() -> None:
    assert tables.as_text(Table("t", ("a", "b"), ())).splitlines()[2] == "a  b"
    assert tables.numeric(Table("t", ("a", "b"), ())) == [False, False]


@pytest.mark.parametrize(
    ("column", "shown"),
    [
        ((0.25, 1.0, 0.5), ["0.25", "1.00", "0.50"]),
        ((31_000.4, 250.0), ["31,000", "250"]),
        ((1 / 3, 2), ["0.333", "2"]),
        ((1e-9, 0.0), ["0.000000", "0.000000"]),
    ],
)
def test_a_column_has_three_significant_digits(column: tuple[float, ...], shown: list[str]) -> None:
    table = Table("t", ("x",), tuple((value,) for value in column))
    assert [row[0] for row in tables.cells(table)] == shown


def test_the_numbers_of_a_chart_are_a_table() -> None:
    lines = (Line("a", ((1, 0.5), (2, 0.6))), Line("b", ((2, 0.7),)))
    table = tables.figures(Chart("c", "TTL", "recall", lines))
    assert table.columns == ("TTL", "a", "b")
    assert table.rows == ((1, 0.5, None), (2, 0.6, 0.7))


def test_bars_are_named_and_dots_have_a_row_each() -> None:
    assert [row[0] for row in tables.figures(samples.chart("bar")).rows] == [
        "ordinary node",
        "super node",
    ]
    assert tables.figures(samples.chart("scatter")).rows[0] == ("flood", 31_000, 0.98)
