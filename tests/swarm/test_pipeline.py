"""How deep the pipeline gets, and when a row of requests is worth a message."""

from p2pswarm.formats.ids import BLOCK
from p2pswarm.swarm.pipeline import LEAST_DEPTH, MOST_DEPTH, START_DEPTH, Pipeline


def test_it_grows_as_the_rate_does_and_then_holds_a_second_and_a_round_trip() -> None:
    pipeline = Pipeline()
    pipeline.landed(30)
    assert pipeline.depth == START_DEPTH + 30
    pipeline.tick(60.0 * BLOCK, 6.0 * BLOCK)
    pipeline.landed(60)
    assert pipeline.depth == START_DEPTH + 90
    pipeline.rtt = 0.5
    pipeline.tick(60.0 * BLOCK, 12.0 * BLOCK)
    assert pipeline.depth == 90
    pipeline.landed(60)
    assert pipeline.depth == 90
    pipeline.tick(0.0, 1.0 * BLOCK)
    assert pipeline.depth == LEAST_DEPTH


def test_it_is_no_deeper_than_the_peer_takes_nor_than_the_most() -> None:
    pipeline = Pipeline()
    pipeline.takes(5)
    assert pipeline.depth == 5
    pipeline.landed(100)
    assert pipeline.depth == 5
    pipeline.unchoked()
    assert pipeline.depth == 5
    pipeline.takes(10_000)
    pipeline.landed(10_000)
    assert pipeline.depth == MOST_DEPTH


def test_who_stalls_is_asked_for_one_and_begins_anew() -> None:
    pipeline = Pipeline()
    pipeline.landed(100)
    pipeline.stalled()
    assert pipeline.depth == 1
    pipeline.landed(1)
    assert pipeline.depth == 2
    pipeline.unchoked()
    assert pipeline.depth == START_DEPTH


def test_a_row_waits_until_it_is_worth_a_message() -> None:
    pipeline = Pipeline()
    assert [pipeline.room(owed) for owed in (0, 7, 8, 9)] == [8, 1, 0, 0]
    pipeline.landed(92)
    assert [pipeline.room(owed) for owed in (0, 88, 89, 100)] == [100, 12, 0, 0]
    pipeline.takes(1000)
    pipeline.landed(1000)
    assert [pipeline.room(owed) for owed in (484, 485)] == [16, 0]
