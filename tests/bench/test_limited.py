import pytest

from scripts.bench.limited import figures, fluid_bound, sent_until
from scripts.bench.programs import Usage
from scripts.bench.swarm import Limits, Outcome, Sample

MB = 10**6
LINE = [Sample(0, 0, 0), Sample(1, 10, 0), Sample(3, 50, 0)]


@pytest.mark.parametrize(
    ("seed", "up", "down", "seconds"),
    [
        (8, 4, 16, 16 * 200 / (8 + 16 * 4)),  # what all uplinks together can carry
        (2, 8, 16, 100),  # the seed has to send every byte once
        (8, 40, 4, 50),  # everybody has to receive it
    ],
)
def test_the_bound_is_that_of_the_narrowest_place(
    seed: int, up: int, down: int, seconds: float
) -> None:
    bound = fluid_bound(200 * MB, 16, Limits(seed * MB), Limits(up * MB, down * MB))
    assert bound == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("at", "sent"), [(-1, 0), (0, 0), (0.5, 5), (1, 10), (2, 30), (3, 50), (9, 50)]
)
def test_between_two_samples_the_line_is_straight(at: float, sent: float) -> None:
    assert sent_until(LINE, at) == sent


def test_figures_of_a_run() -> None:
    peers = [[Sample(0, 0, 0), Sample(5, 30, 22)], [Sample(0, 0, 0), Sample(5, 0, 20)]]
    outcome = Outcome([2.0, 4.0], LINE, peers, [Usage(1, 50), Usage(2, 70), Usage(3, 60)])
    told = figures(outcome, size=20, bound=2.0)
    assert told["last"] == 4
    assert told["median"] == 3
    assert told["over_bound"] == 2
    assert told["copies"] == 50 / 20
    assert told["copies_before_first"] == 30 / 20
    assert told["received_twice"] == pytest.approx(0.05)
    assert told["cpu"] == 6
    assert told["peak"] == 70
