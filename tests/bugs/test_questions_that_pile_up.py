"""On a fast line pieces were complete before their leaves came, and each dropped question made room for
another: a seed of ours saw more waiting than anybody honest asks, and hung up. Every fourth gigabyte took ten
seconds more.
"""

from p2pswarm.swarm.hash_asking import AT_ONCE, PATIENCE, HashAsking
from p2pswarm.wire.hashes import HashRange


def test_what_is_dropped_unanswered_waits_all_the_same() -> None:
    asking = HashAsking()
    ranges = [HashRange(bytes(32), 0, n * 2, 2, 0) for n in range(1000)]
    asked = list[HashRange]()
    for wanted in ranges:
        asking.want([wanted])
        asked += asking.next_for("seed", 0.0)
        asking.drop([wanted])
    assert len(asked) == AT_ONCE
    assert all(asking.answered("seed", each) for each in asked)


def test_a_peer_that_never_answers_is_asked_again_after_its_time() -> None:
    asking = HashAsking()
    one, two, three = (HashRange(bytes(32), 0, n * 2, 2, 0) for n in range(3))
    asking.want([one, two])
    assert asking.next_for("seed", 0.0) == [one, two]
    asking.drop([one, two])
    asking.want([three])
    assert asking.next_for("seed", PATIENCE - 1) == []
    assert asking.next_for("seed", PATIENCE) == [three]
