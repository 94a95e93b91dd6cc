import pytest

from scripts.bench.measure import Figures, Goal, Results, Spread, ratio, spreads, take_turns
from scripts.bench.programs import BenchError


class Scripted:
    """A contestant whose runs are known; it notes each in `log`."""

    def __init__(
        self, name: str, figures: list[float | None], log: list[str], most: int | None = None
    ) -> None:
        self.name, self.most = name, most
        self._figures = iter(figures)
        self._log = log

    def run(self, *, check: bool) -> Figures:
        self._log.append(self.name + "?" * check)
        figure = next(self._figures)
        if figure is None:
            raise BenchError("broke")
        return {"rate": figure}


def rates(results: Results, name: str) -> list[float]:
    return [run["rate"] for run in results.runs[name]]


def test_contestants_take_turns_and_the_checked_warm_up_does_not_count() -> None:
    log: list[str] = []
    results = take_turns([Scripted("a", [9, 1, 2], log), Scripted("b", [9, 3, 4], log)], 2)
    assert log == ["a?", "b?", "a", "b", "a", "b"]
    assert rates(results, "a") == [1, 2]
    assert rates(results, "b") == [3, 4]
    assert results.failures == {}


def test_a_slow_contestant_runs_less_often() -> None:
    log: list[str] = []
    results = take_turns([Scripted("a", [9, 1, 2], log), Scripted("b", [9, 3], log, most=1)], 2)
    assert log == ["a?", "b?", "a", "b", "a"]
    assert rates(results, "b") == [3]


@pytest.mark.parametrize(("figures", "kept"), [([None], []), ([9, 1, None], [1])])
def test_who_fails_takes_no_further_part_and_everybody_hears_why(
    figures: list[float | None], kept: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    log: list[str] = []
    results = take_turns([Scripted("a", figures, log), Scripted("b", [9, 1, 2, 3], log)], 3)
    assert rates(results, "a") == kept
    assert rates(results, "b") == [1, 2, 3]
    assert results.failures == {"a": "broke"}
    assert "FAILED: broke" in capsys.readouterr().err


def test_a_spread_is_the_median_and_what_it_lies_between() -> None:
    assert Spread.of([5, 1, 100]) == Spread(5, 1, 100)
    assert Spread.of([4, 1]) == Spread(2.5, 1, 4)


def test_figures_that_a_run_lacks_have_no_spread() -> None:
    assert spreads([{"a": 1, "b": 2}, {"a": 3}]) == {"a": Spread(2, 1, 3)}
    assert spreads([]) == {}


def test_a_ratio_compares_neighbours_not_medians() -> None:
    """The machine was slow in the second round, for both."""
    runs = {"ours": [{"rate": 30.0}, {"rate": 3.0}, {"rate": 33.0}]}
    runs |= {"theirs": [{"rate": 10.0}, {"rate": 1.0}, {"rate": 12.0}]}
    results = Results(runs, {})
    assert ratio(results, "ours", "theirs", "rate") == 3.0
    assert ratio(results, "ours", "nobody", "rate") is None


@pytest.mark.parametrize(
    ("value", "at_least", "met"),
    [(2.5, True, True), (2.49, True, False), (2.5, False, True), (2.51, False, False)],
)
def test_a_goal_is_met_from_its_limit_on(value: float, at_least: bool, met: bool) -> None:
    assert Goal("it", 2.5, value, at_least).met is met


def test_a_goal_that_was_not_measured_is_neither_met_nor_missed() -> None:
    assert Goal("it", 2.5, None).met is None
