"""Messages for who was not there: they wait, arrive once and in order, and are gone when they are known."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from p2pswarm.calling.call import Call
from p2pswarm.calling.letters import MOST, Letters
from p2pswarm.calling.outbox import MOST_HEARD, MOST_WAITING, Heard, Outbox
from p2pswarm.errors import DiskError, FormatError, HostError, NetworkError, RemoteError
from p2pswarm.lab.loop import VirtualLoop, play
from p2pswarm.wire.calling.frames import CallKind
from p2pswarm.wire.calling.letters import MESSAGE, Kept, Left, Message
from tests.support.phones import Exchange

if TYPE_CHECKING:
    from p2pswarm.calling.phone import Incoming

NOW = 1_800_000_000.5


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox")


def test_what_is_written_waits_in_order(outbox: Outbox, tmp_path: Path) -> None:
    assert outbox.names() == []
    assert outbox.waiting("bob") == []
    texts = ["first", "two\nlines \u00fc", "third"]
    said = [outbox.add("Bob", text, NOW) for text in texts]
    assert [each.text for each in Outbox(tmp_path / "outbox").waiting("bob")] == texts
    assert [each.number for each in said] == sorted({each.number for each in said})
    assert outbox.names() == ["bob"]
    outbox.kept("bob", said[1].number)
    assert outbox.waiting("bob") == said[2:]
    outbox.kept("bob", said[2].number)
    assert outbox.names() == []


def test_numbers_grow_when_the_clock_does_not(outbox: Outbox) -> None:
    first = outbox.add("bob", "first", NOW)
    outbox.kept("bob", first.number)
    assert outbox.add("bob", "second", NOW - 100 * 86_400).number > first.number


def test_it_is_for_its_owner_only(outbox: Outbox, tmp_path: Path) -> None:
    outbox.add("bob", "secret", NOW)
    [file] = [path for path in (tmp_path / "outbox" / "bob").iterdir() if path.name.isdigit()]
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_it_has_its_bounds(outbox: Outbox) -> None:
    for text in ("", "x" * 4001, "\u00fc" * 2001):
        with pytest.raises(HostError, match="a message has 1 to 4000 bytes"):
            outbox.add("bob", text, NOW)
    for number in range(MOST_WAITING):
        outbox.add("bob", str(number), NOW)
    with pytest.raises(HostError, match="wait for bob already"):
        outbox.add("bob", "one more", NOW)
    with pytest.raises(FormatError):
        outbox.add("../../etc", "x", NOW)


@pytest.mark.parametrize(
    "data",
    [b"", b"1800000000", b"1800000000\n", b"\0" * 5000, b"9" * 5000 + b"\n" + b"x" * 4000, None],
)
def test_what_is_damaged_does_not_keep_what_comes_after_it(
    outbox: Outbox, tmp_path: Path, data: bytes | None
) -> None:
    first, second = outbox.add("bob", "first", NOW), outbox.add("bob", "second", NOW)
    file = tmp_path / "outbox" / "bob" / f"{first.number:016}"
    file.unlink()
    if data is None:
        os.mkfifo(file)
    else:
        file.write_bytes(data)
    assert outbox.waiting("bob") == [second]


def test_what_is_not_ours_in_the_outbox_is_not_looked_at(outbox: Outbox, tmp_path: Path) -> None:
    message = outbox.add("bob", "hello", NOW)
    for stray in (
        ".DS_Store",
        "Bob",
        "bob/.9.swp",
        "bob/\u00b2",
        f"bob/{10**17}",
        "bob/9999999999999999",
    ):
        (tmp_path / "outbox" / stray).write_text("x")
    (tmp_path / "outbox" / "bob" / "last").write_text("9" * 5000)
    assert (outbox.names(), outbox.waiting("bob")) == (["bob"], [message])
    assert outbox.add("bob", "again", NOW).number == message.number + 1


def test_a_disk_that_fails_is_a_disk_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError):
        Outbox(tmp_path / "file" / "x").add("bob", "x", NOW)
    with pytest.raises(DiskError):
        Heard(tmp_path / "file" / "x").note(bytes(32), 1)


def test_what_was_heard_is_remembered(tmp_path: Path) -> None:
    heard = Heard(tmp_path / "people" / "heard")
    assert heard.last(bytes(32)) == 0
    heard.note(bytes(32), 5)
    heard.note(b"\1" * 32, 7)
    heard.note(bytes(32), 6)
    again = Heard(tmp_path / "people" / "heard")
    assert (again.last(bytes(32)), again.last(b"\1" * 32)) == (6, 7)
    lines = (tmp_path / "people" / "heard").read_text()
    with (tmp_path / "people" / "heard").open("ab") as file:
        file.write(b"\xff 3\n" + b"ab " + b"9" * 5000 + b"\n")
    assert Heard(tmp_path / "people" / "heard").last(bytes(32)) == 6
    (tmp_path / "people" / "heard").write_text("junk\n" + "x y z\n" * MOST_HEARD + lines)
    again.note(b"\2" * 32, 1)
    assert again.last(bytes(32)) == 6
    many = "".join(f"{number:064x} 1\n" for number in range(MOST_HEARD))
    (tmp_path / "people" / "heard").write_text(lines + many)
    again.note(b"\2" * 32, 1)
    assert len((tmp_path / "people" / "heard").read_text().splitlines()) == MOST_HEARD
    assert again.last(b"\2" * 32) == 1


class Post:
    """Alice and Bob with what waits at each, and what each was told."""

    def __init__(self, loop: VirtualLoop, folder: Path) -> None:
        self.exchange = Exchange(loop, folder)
        self.outboxes = Outbox(folder / "a" / "outbox"), Outbox(folder / "b" / "outbox")
        self.notes = Heard(folder / "a" / "heard"), Heard(folder / "b" / "heard")
        self.told: tuple[list[str], list[str]] = ([], [])
        self.cut: Callable[[], None] = lambda: None

    async def calls(self) -> tuple[Call, Call]:
        came: asyncio.Queue[Incoming] = asyncio.Queue()
        self.exchange.bob.phone.on_incoming = came.put_nowait
        calling = asyncio.create_task(self.exchange.alice.phone.call("bob", MESSAGE))
        far = await self.exchange.bob.phone.answer(await came.get())
        return await calling, far

    def letters(self, call: Call, side: int) -> Letters:
        def told(message: Message) -> None:
            self.told[side].append(message.text)
            self.cut()

        return Letters(call, self.outboxes[side], self.notes[side], told, _at_once)

    async def deliver(self) -> list[Any]:
        calls = await self.calls()
        sides = [self.letters(call, side) for side, call in enumerate(calls)]
        await asyncio.gather(*(call.open() for call in calls))
        ends = await asyncio.gather(*(each.run() for each in sides), return_exceptions=True)
        await asyncio.gather(*(call.hang_up() for call in calls))
        return ends


async def _at_once(job: Callable[..., Any], *words: Any) -> Any:
    await asyncio.sleep(0)
    return job(*words)


def told(folder: Path, story: Callable[[Post], Awaitable[None]]) -> None:
    async def begin(loop: VirtualLoop) -> None:
        await story(Post(loop, folder))

    play(begin)


def test_messages_are_delivered_both_ways_and_once(tmp_path: Path) -> None:
    async def story(post: Post) -> None:
        for text in ("one", "two", "three"):
            post.outboxes[0].add("bob", text, NOW)
        post.outboxes[1].add("alice", "hello", NOW)
        assert await post.deliver() == [3, 1]
        assert post.told == (["hello"], ["one", "two", "three"])
        assert [each.names() for each in post.outboxes] == [[], []]
        assert await post.deliver() == [0, 0]
        post.outboxes[0].add("bob", "four", NOW)
        assert await post.deliver() == [1, 0]
        assert post.told == (["hello"], ["one", "two", "three", "four"])

    told(tmp_path, story)


def test_a_call_that_breaks_costs_nothing_but_a_repetition(tmp_path: Path) -> None:
    async def story(post: Post) -> None:
        for text in ("one", "two", "three"):
            post.outboxes[0].add("bob", text, NOW)
        near, far = await post.calls()

        def hang_up() -> None:
            if len(post.told[1]) == 2:
                near.line.close()
                near.ended.set_result("gone")

        post.cut = hang_up
        sides = post.letters(near, 0), post.letters(far, 1)
        await asyncio.gather(near.open(), far.open())
        ends = await asyncio.gather(
            sides[0].run(), asyncio.wait_for(sides[1].run(), 60), return_exceptions=True
        )
        assert isinstance(ends[0], NetworkError)
        await asyncio.gather(near.close(), far.close())
        post.cut = lambda: None
        assert len(post.outboxes[0].waiting("bob")) == 3
        assert await post.deliver() == [3, 0]
        assert post.told[1] == ["one", "two", "three"]
        assert post.outboxes[0].names() == []

    told(tmp_path, story)


def test_a_receipt_for_more_than_was_said_takes_nothing_more_away(tmp_path: Path) -> None:
    async def story(post: Post) -> None:
        first = post.outboxes[0].add("bob", "one", NOW)
        near, far = await post.calls()
        letters = post.letters(near, 0)
        await asyncio.gather(near.open(), far.open())
        far.listen(lambda text: None)
        running = asyncio.create_task(letters.run())
        await asyncio.sleep(1)
        later = post.outboxes[0].add("bob", "two", NOW)
        for said in (Kept(later.number), Left()):
            far.line.say(said.kind, said.encode())
        assert await running == 1
        assert post.outboxes[0].waiting("bob") == [later]
        assert first.number < later.number
        await asyncio.gather(near.close(), far.close())

    told(tmp_path, story)


@pytest.mark.parametrize(
    ("lie", "why"),
    [
        ("many", "too much to say"),
        ("silence", "says no more"),
        ("no receipt", "does not take our messages"),
        ("junk", "not bencode"),
        ("hangs up", "not now"),
    ],
)
def test_who_does_not_play_along_ends_it(tmp_path: Path, lie: str, why: str) -> None:
    async def story(post: Post) -> None:
        post.outboxes[0].add("bob", "one", NOW)
        near, far = await post.calls()
        letters = post.letters(near, 0)
        await asyncio.gather(near.open(), far.open())
        running = asyncio.create_task(letters.run())
        match lie:
            case "many":
                for number in range(MOST + 1):
                    await far.line.room()
                    said = Message(number + 1, 1, "x")
                    far.line.say(said.kind, said.encode())
            case "no receipt":
                far.line.say(Left.kind, b"")
            case "junk":
                far.line.say(Kept.kind, b"junk")
            case "hangs up":
                far.line.say(CallKind.BYE, b"not now")
        with pytest.raises(RemoteError, match=why):
            await asyncio.wait_for(running, 100)
        assert post.outboxes[0].names() == ["bob"]
        await asyncio.gather(near.close(), far.close())

    told(tmp_path, story)
