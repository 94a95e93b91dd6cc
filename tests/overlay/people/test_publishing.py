"""When our record is written."""

from random import Random

from p2pswarm.overlay.people.publishing import LONGEST_PAUSE, RENEW, Publishing


def test_a_change_is_written_soon_and_once() -> None:
    each = Publishing(Random(1))
    assert each.due == float("inf")
    each.changed(("home", 1), 0.0)
    each.changed(("home", 2), 0.5)
    assert 0.2 <= each.due <= 0.6
    each.begin()
    assert each.due == float("inf")
    each.stored(3.0)
    assert each.stored_as_is
    each.changed(("home", 2), 4.0)
    assert RENEW / 2 < each.due <= 3.0 + RENEW


def test_what_changes_while_it_is_written_is_written_again() -> None:
    each = Publishing(Random(1))
    each.changed(1, 0.0)
    each.begin()
    each.changed(2, 1.0)
    each.stored(2.0)
    assert not each.stored_as_is
    assert each.due <= 5.0


def test_a_write_that_fails_is_tried_again_ever_more_rarely() -> None:
    each, now = Publishing(Random(1)), 0.0
    each.changed(1, now)
    writes = 0
    while now < 3600.0:
        now = each.due
        each.begin()
        each.failed(now)
        writes += 1
        assert each.due > now
    assert 3600 / LONGEST_PAUSE <= writes < 40
