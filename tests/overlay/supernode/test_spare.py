"""How much of a CPU is free."""

from p2pswarm.overlay.supernode.spare import SPAN, Spare


class Machine:
    def __init__(self) -> None:
        self.now = self.used = 0.0
        self.spare = Spare(lambda: self.now, lambda: self.used)

    def works(self, seconds: float, share: float) -> None:
        self.now += seconds
        self.used += seconds * share


def test_what_we_use_is_not_free() -> None:
    machine = Machine()
    machine.works(SPAN, 0.7)
    assert machine.spare.percent() == 30


def test_nothing_is_said_before_it_was_measured() -> None:
    machine = Machine()
    machine.works(SPAN / 2, 1.0)
    assert machine.spare.percent() == 100
    machine.works(SPAN / 2, 0.0)
    assert machine.spare.percent() == 50


def test_what_is_over_counts_no_more() -> None:
    machine = Machine()
    machine.works(SPAN, 1.0)
    assert machine.spare.percent() == 0
    machine.works(SPAN, 0.1)
    assert machine.spare.percent() == 90


def test_more_than_one_cpu_is_none_free() -> None:
    machine = Machine()
    machine.works(SPAN, 3.0)
    assert machine.spare.percent() == 0
