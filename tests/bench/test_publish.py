import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from scripts.bench import publish
from scripts.bench.measure import Goal, Results
from scripts.bench.publish import Column, Report, chosen, table

RESULTS = Results(
    {
        "p2pswarm": [{"rate": 2e6}, {"rate": 3e6}, {"rate": 7e6}],
        "other": [{"rate": 1e6}],
        "gone": [],
    },
    {"gone": "it broke"},
)
REPORT = Report(
    "race",
    "Who is faster?",
    {"size": 5},
    RESULTS,
    [Column("rate", "MB/s", 1e6, 1), Column("cpu", "CPU s")],
    [Goal("rate", 2, 3.0), Goal("cost", 1, 3.0, at_least=False), Goal("else", 1, None)],
    ["a note"],
    {"aria": "aria2"},
)


def wanted(*arguments: str) -> argparse.Namespace:
    return publish.parser("race").parse_args(arguments)


def test_the_table_has_medians_with_their_spread_and_gaps_where_nothing_is() -> None:
    assert table(RESULTS, REPORT.columns).splitlines() == [
        "                   MB/s  CPU s  runs",
        "p2pswarm  3.0 (2.0-7.0)      -     3",
        "other               1.0      -     1",
        "gone                  -      -     0",
    ]


def test_what_is_missing_or_failed_or_not_reached_is_said_loudly() -> None:
    lines = REPORT.as_text().splitlines()
    assert lines[0] == "Who is faster?"
    assert lines[-6:] == [
        "aria: MISSING, apt-get install aria2",
        "gone: FAILED, it broke",
        "met            rate >= 2: 3",
        "NOT MET        cost <= 1: 3",
        "not measured   else >= 1",
        "a note",
    ]


@pytest.fixture
def small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What benches compare with is not installed where tests run."""
    monkeypatch.setattr(publish, "LIBRARIES", ("p2pswarm", "uvloop"))


@pytest.mark.usefixtures("small_machine")
def test_the_json_has_every_run_and_what_the_figures_depend_on() -> None:
    told: dict[str, Any] = json.loads(REPORT.as_json(wanted()))
    assert told["runs"]["p2pswarm"] == [{"rate": 2e6}, {"rate": 3e6}, {"rate": 7e6}]
    assert told["medians"]["p2pswarm"]["rate"] == {"median": 3e6, "low": 2e6, "high": 7e6}
    assert [goal["met"] for goal in told["goals"]] == [True, False, None]
    assert told["missing"] == {"aria": "aria2"}
    assert told["failed"] == {"gone": "it broke"}
    assert told["machine"].keys() >= {"cpu", "cores", "memory", "kernel", "python", "libraries"}
    assert told["facts"] == {"size": 5}


@pytest.mark.usefixtures("small_machine")
@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        ((), "usual"),
        (("--quick",), None),
        (("--only", "other"), None),
        (("--quick", "--out"), "named"),
    ],
)
def test_a_trial_or_a_part_never_replaces_the_real_thing(
    arguments: tuple[str, ...],
    written: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(publish, "OUT", tmp_path / "usual")
    monkeypatch.setattr(publish, "_plot", lambda path, draw: path.touch())
    arguments += (str(tmp_path / "named"),) * (arguments[-1:] == ("--out",))
    REPORT.publish(wanted(*arguments), lambda figure, report: None)
    found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("race.*"))
    assert found == ([f"{written}/race.json", f"{written}/race.svg"] if written else [])


@pytest.mark.parametrize(
    ("only", "is_chosen"),
    [
        ([], True),
        (["-> b"], True),
        (["tmpfs*b"], True),
        (["b*tmpfs"], False),
        (["x", "a ->"], True),
    ],
)
def test_only_chooses_by_part_of_the_name(only: list[str], is_chosen: bool) -> None:
    assert chosen("tmpfs: a -> b", argparse.Namespace(only=only)) is is_chosen
