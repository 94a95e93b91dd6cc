from collections.abc import Sequence

from p2pswarm.overlay.inbox import MOST_OF_ONE, MOST_WAITING, Inbox
from p2pswarm.overlay.network import Cost
from p2pswarm.overlay.query import Hit

HOST = "192.0.2.7"


def hit(name: str = "blue moon.mp3", nick: str = "01", sha1: bytes | None = bytes(20)) -> Hit:
    return Hit(name, 1000, "gnutella", nick=nick, sha1=sha1)


def numbered(count: int, nick: str = "01") -> Sequence[Hit]:
    return [hit(nick=nick, sha1=number.to_bytes(20, "big")) for number in range(count)]


async def taken(inbox: Inbox) -> list[Hit]:
    inbox.end()
    return [hit async for hit in inbox.hits()]


async def test_a_file_of_one_host_counts_once() -> None:
    inbox = Inbox(Cost())
    assert inbox.put([hit(), hit("other.mp3")], HOST, 1) == 1
    assert inbox.put([hit()], HOST, 1) == 0
    assert inbox.put([hit(nick="02")], "192.0.2.8", 1) == 1
    assert [each.nick for each in await taken(inbox)] == ["01", "02"]


async def test_neither_a_name_nor_an_address_floods_a_search() -> None:
    inbox = Inbox(Cost())
    made_up = [hit(nick=str(n), sha1=n.to_bytes(20, "big")) for n in range(2 * MOST_OF_ONE)]
    assert sum(inbox.put([each], HOST, 1) for each in made_up) == MOST_OF_ONE
    moving = numbered(2 * MOST_OF_ONE, "a")
    found = sum(inbox.put([each], f"198.51.100.{n}", 1) for n, each in enumerate(moving))
    assert found == MOST_OF_ONE
    assert inbox.put([hit(nick="b")], "192.0.2.9", 1) == 1


async def test_what_nobody_reads_is_bounded() -> None:
    inbox = Inbox(Cost())
    told = (inbox.put(numbered(100, str(n)), f"host {n}", 1) for n in range(20))
    assert sum(told) == MOST_WAITING
    assert len(await taken(inbox)) == MOST_WAITING


async def test_the_farthest_answer_is_told_in_the_cost() -> None:
    cost = Cost()
    inbox = Inbox(cost)
    inbox.put([hit()], HOST, 3)
    inbox.put([], HOST, 2)
    assert cost.hops == 3
