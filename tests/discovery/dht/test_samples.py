"""What a node names to those who survey the DHT."""

from random import Random

from p2pswarm.discovery.dht.samples import INTERVAL, MOST, Samples
from p2pswarm.formats.ids import InfoHash


def hashes(count: int) -> list[InfoHash]:
    return [InfoHash(number.to_bytes(20)) for number in range(count)]


def test_few_are_all_named() -> None:
    samples = Samples(Random(1))
    assert samples.draw([], 0.0) == ()
    assert samples.draw(hashes(MOST), 0.0) == tuple(hashes(MOST))
    assert samples.wait(0.0) == INTERVAL


def test_of_many_the_same_are_named_until_the_time_that_was_said() -> None:
    samples = Samples(Random(1))
    first = samples.draw(hashes(2000), 5.0)
    assert len(set(first)) == MOST
    assert samples.wait(105.0) == INTERVAL - 100
    assert samples.draw(hashes(2000), 4.0 + INTERVAL) == first
    other = samples.draw(hashes(2000), 5.0 + INTERVAL)
    assert set(other) != set(first)
    assert set(other) <= set(hashes(2000))


def test_when_few_become_many_it_is_drawn_anew() -> None:
    samples = Samples(Random(1))
    samples.draw(hashes(3), 0.0)
    assert len(samples.draw(hashes(2000), 1.0)) == MOST
