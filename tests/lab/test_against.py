"""Our figures beside those that were counted before."""

from p2pswarm.lab.against import COUNTED, against, error
from p2pswarm.lab.compare import GNUTELLA, compare


def test_the_error_of_a_mean() -> None:
    assert error([1.0, 3.0]) == 1.0  # 2 ** 0.5 / 2 ** 0.5
    assert error([5.0]) == 0.0


def test_names_are_compared_without_their_links_and_the_first_counts() -> None:
    table = against(
        [
            ("62 super nodes, 30 links, flood TTL 7", [1800, 1802], [1.0, 1.0]),
            ("62 super nodes, 40 links, flood TTL 7", [2459], [1.0]),
            ("central index", [1], [1.0]),
        ]
    )
    assert table.rows == (
        ("62 super nodes, 30 links, flood TTL 7", 1801.0, 1.0, 1798, 1.0, 0.0, 1.0),
    )


def test_walkers_find_what_was_counted_before() -> None:
    crawl, _ = COUNTED
    _, table, _ = compare(GNUTELLA[9:10], crawl, things=10).tables
    ((name, queries, _, counted, recall, sure, found),) = table.rows
    assert (name, queries, counted) == ("32 walkers x 64 steps", 2048.0, 2048)
    assert abs(float(str(recall)) - float(str(found))) <= 3 * float(str(sure))


def test_nothing_is_compared_on_another_graph() -> None:
    costs, loads = compare(GNUTELLA[9:10], "random", things=1, nodes=500).tables
    assert (costs.title, loads.title) == ("Cost and recall", "Load by role")
