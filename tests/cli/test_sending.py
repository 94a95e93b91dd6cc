"""`send` and `message` against `answer` in virtual time, with real nodes and files."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from p2pswarm.calling.contacts import Contacts
from p2pswarm.calling.line import LOST_AFTER
from p2pswarm.calling.outbox import Outbox
from p2pswarm.cli import answering, calling, posting, sending
from p2pswarm.cli.exits import CommandError, Exit, UsageError
from p2pswarm.cli.options import Progress, Receiving, Sending
from p2pswarm.cli.posting import Pauses
from p2pswarm.cli.running import Stop, StoppedError
from p2pswarm.cli.sending import _message, _send, message, send
from p2pswarm.cli.talking import Talking
from p2pswarm.config import NetworkSettings, Settings
from p2pswarm.errors import DeclinedError, NetworkError, OfflineError, UnknownNameError
from p2pswarm.lab.loop import VirtualLoop, play
from p2pswarm.wire.calling.parcels import SEND
from tests.cli.test_calling import Commands
from tests.cli.test_conversing import Told, Typed
from tests.support.phones import Exchange, Stranger
from tests.support.quiet import quiet
from tests.support.world import World

TEXT_ONLY = Talking(audio=False)


class Said:
    """Lines that are typed when a test says so."""

    def __init__(self) -> None:
        self._lines: asyncio.Queue[str] = asyncio.Queue()
        self.say = self._lines.put_nowait

    async def line(self) -> str | None:
        return await self._lines.get()


class Watched(Told):
    """One that shows progress, too."""

    every = 1.0

    def status(self, sample: object) -> None:
        """Nobody looks."""


class Town(Commands):
    """Alice and Bob with nodes; each is there or not."""

    def __init__(self, loop: VirtualLoop, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(Exchange(loop, folder), folder, monkeypatch)
        monkeypatch.setattr(sending, "telephone", self.telephone)
        self.told = {name: Watched() for name in ("alice", "bob")}
        self.world = World(folder, loop, 7)
        self.receiving = Receiving("all", folder / "inbox")
        (folder / "inbox").mkdir()
        (folder / "files").mkdir()

    async def open(self) -> None:
        for name in ("alice", "bob"):
            self.nodes[name] = await self.world.node(self.world.host())

    async def close(self) -> None:
        for node in self.nodes.values():
            await node.aclose()

    def write(self, name: str, size: int = 100_000) -> Path:
        path = self.folder / "files" / name
        path.write_bytes(self.world.dice.randbytes(size))
        return path

    async def send(self, *paths: Path, patience: float | None = None) -> Exit:
        told: Any = self.told["alice"]
        who: Any = "alice"
        how = Sending(patience)
        stop = self.stops["alice"]
        return await _send(["bob"], paths, how, NetworkSettings(), who, told, stop)

    def outbox(self, name: str) -> Outbox:
        return Outbox(self.folder / name / "people" / "outbox")

    async def answering(self, seconds: float = 1e9, talking: Talking = TEXT_ONLY) -> None:
        """Bob is there for so long."""
        asyncio.get_running_loop().call_later(seconds, self.stops["bob"].request)
        with pytest.raises(StoppedError):
            await self.answer(talking)


Story = Callable[[Town], Awaitable[None]]


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Story], None]:
    monkeypatch.setattr(answering, "TypedLines", lambda: Typed(stays=True))

    def play_it(story: Story) -> None:
        async def begin(loop: VirtualLoop) -> None:
            town = Town(loop, tmp_path, monkeypatch)
            await town.open()
            try:
                await story(town)
            finally:
                await town.close()

        play(begin)

    return play_it


def test_files_are_sent_and_taken(played: Callable[[Story], None]) -> None:
    async def story(town: Town) -> None:
        film, text = town.write("film.mp4", 2 << 20), town.write("notes.txt", 10)
        end, _ = await asyncio.gather(town.send(film, text), town.answering(60))
        assert end is Exit.OK
        assert town.told["alice"].results == ["bob\tfilm.mp4", "bob\tnotes.txt"]
        inbox = town.folder / "inbox"
        assert town.told["bob"].results == [str(inbox / "film.mp4"), str(inbox / "notes.txt")]
        assert (inbox / "film.mp4").read_bytes() == film.read_bytes()
        assert "alice sends film.mp4 (2.0 MiB)" in town.told["bob"].notes
        assert "bob" in Contacts(town.folder / "alice" / "people" / "contacts")

    played(story)


@pytest.mark.parametrize(
    ("accept", "known", "taken"),
    [
        ("all", False, True),
        ("contacts", True, True),
        ("contacts", False, False),
        ("ask", True, False),
    ],
)
def test_files_are_taken_of_whom_the_user_says(
    played: Callable[[Story], None], accept: str, known: bool, taken: bool
) -> None:
    async def story(town: Town) -> None:
        town.receiving = Receiving(accept, town.folder / "inbox")
        if known:
            Contacts(town.folder / "bob" / "people" / "contacts").add("alice")
        end, _ = await asyncio.gather(town.send(town.write("notes.txt")), town.answering(60))
        assert end is (Exit.OK if taken else Exit.ERROR)
        assert (town.folder / "inbox" / "notes.txt").exists() is taken
        assert ("what alice sends is not taken" in town.told["bob"].notes) is not taken

    played(story)


@pytest.mark.parametrize(("typed", "taken"), [("y", True), ("n", False)])
def test_a_person_is_asked(
    played: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch, typed: str, taken: bool
) -> None:
    monkeypatch.setattr(answering, "TypedLines", lambda: Typed(typed, stays=True))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)

    async def story(town: Town) -> None:
        town.receiving = Receiving("ask", town.folder / "inbox")
        await asyncio.gather(town.send(town.write("notes.txt")), town.answering(60))
        assert (town.folder / "inbox" / "notes.txt").exists() is taken

    played(story)


def test_who_is_not_there_is_waited_for(played: Callable[[Story], None]) -> None:
    async def story(town: Town) -> None:
        phone = town.exchange.people["alice"]
        ring, rung = phone.ring, []

        async def away(*words: Any, **more: Any) -> bytes:
            rung.append(1)
            if len(rung) < 4:
                raise OfflineError("bob is not there")
            return await ring(*words, **more)

        phone.ring = away  # type: ignore[method-assign]
        end, _ = await asyncio.gather(town.send(town.write("notes.txt")), town.answering(500))
        assert end is Exit.OK
        assert town.told["alice"].notes.count("bob: bob is not there; trying again") == 3

    played(story)


@pytest.mark.parametrize(
    ("error", "code", "tries"),
    [
        (OfflineError("bob is not there"), Exit.NO_PEERS, 4),
        (DeclinedError("bob is busy", "busy"), Exit.NO_PEERS, 4),
        (DeclinedError("bob does not want to", "refused"), Exit.NO_PEERS, 1),
        (UnknownNameError("nobody is called bob"), Exit.BAD_TORRENT, 1),
    ],
)
def test_what_waiting_does_not_help_ends_at_once(
    played: Callable[[Story], None], error: NetworkError, code: Exit, tries: int
) -> None:
    async def story(town: Town) -> None:
        rung = []

        async def away(*words: Any, **more: Any) -> bytes:
            rung.append(1)
            raise error

        town.exchange.people["alice"].ring = away  # type: ignore[method-assign]
        film, began = town.write("notes.txt"), asyncio.get_running_loop().time()
        assert await town.send(film, patience=30.0) is code
        took = asyncio.get_running_loop().time() - began
        assert took < 32 if tries == 1 else 30 <= took < 32
        assert len(rung) >= tries
        assert f"bob: {error}" in town.told["alice"].notes

    played(story)


async def _say(town: Town, text: str, monkeypatch: pytest.MonkeyPatch) -> Exit:
    told: Any = town.told["alice"]
    who: Any = quiet(data_dir=town.folder / "alice")
    monkeypatch.setattr(
        sending,
        "telephone",
        lambda networks, settings, report, stop: town.telephone(networks, "alice", report, stop),
    )
    monkeypatch.setattr(sending.asyncio, "to_thread", _inline)
    return await _message("bob", text, NetworkSettings(), who, told, town.stops["alice"])


async def _inline(job: Callable[..., Any], *words: Any) -> Any:
    await asyncio.sleep(0)
    return job(*words)


def test_a_message_is_delivered_at_once_where_both_are_there(
    played: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(town: Town) -> None:
        end, _ = await asyncio.gather(
            _say(town, "see you\nat eight", monkeypatch), town.answering(30)
        )
        assert end is Exit.OK
        assert town.told["alice"].results == ["delivered"]
        assert "1 message delivered to bob" in town.told["alice"].notes
        [line] = town.told["bob"].results
        assert line.startswith("alice (")
        assert line.endswith("): see you at eight")

    played(story)


def test_a_message_waits_for_who_is_not_there(
    played: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(town: Town) -> None:
        for text in ("first", "second"):
            assert await _say(town, text, monkeypatch) is Exit.OK
        assert town.told["alice"].results == ["waiting", "waiting"]
        assert any("your message waits" in note for note in town.told["alice"].notes)
        assert len(town.outbox("alice").waiting("bob")) == 2
        # Later both answer, and nobody types anything.
        bob = asyncio.create_task(town.answering(300))
        asyncio.get_running_loop().call_later(200, town.stops["alice"].request)
        with pytest.raises(StoppedError):
            await town.answer(TEXT_ONLY, who="alice")
        await bob
        assert [line.rsplit(": ")[1] for line in town.told["bob"].results] == ["first", "second"]
        assert town.outbox("alice").names() == []

    played(story)


def test_who_begins_anew_need_not_wait_until_the_old_call_is_lost(
    played: Callable[[Story], None],
) -> None:
    async def story(town: Town) -> None:
        bob = asyncio.create_task(town.answering(60))
        await asyncio.sleep(1)
        dies = await town.exchange.alice.phone.call("bob", SEND)
        await dies.open()
        await asyncio.sleep(1)
        await dies.close()  # without a goodbye, as who is killed
        began = asyncio.get_running_loop().time()
        assert await town.send(town.write("notes.txt")) is Exit.OK
        assert asyncio.get_running_loop().time() - began < 0.7 * LOST_AFTER  # two pauses
        assert any("busy" in note for note in town.told["alice"].notes)
        await bob

    played(story)


def test_who_talks_gets_messages_and_files_meanwhile(
    played: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "TypedLines", lambda: Typed("y", stays=True))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)

    async def story(town: Town) -> None:
        monkeypatch.setattr(calling, "telephone", town.telephone)
        monkeypatch.setattr(calling, "TypedLines", lambda: Typed(stays=True))
        bob = asyncio.create_task(town.answering(200))
        talk = asyncio.ensure_future(town.call("bob", TEXT_ONLY))
        await asyncio.sleep(5)
        assert [each["name"] for each in town.told["bob"].of("answered")] == ["alice"]
        assert await _say(town, "are you still talking?", monkeypatch) is Exit.OK
        assert await town.send(town.write("notes.txt")) is Exit.OK
        with pytest.raises(DeclinedError, match="busy"):
            await town.call("bob", TEXT_ONLY)
        assert not talk.done()
        line, path = town.told["bob"].results
        assert line.endswith("are you still talking?")
        assert path == str(town.folder / "inbox" / "notes.txt")
        assert town.told["bob"].of("missed") == [{"name": "alice"}]
        wants = [each["want"] for each in town.told["bob"].of("incoming")]
        assert wants == ["call", "message", "send"]
        town.stops["alice"].request()
        assert await talk is Exit.OK
        await bob

    played(story)


def test_a_machine_gets_messages_and_files_beside_its_call(
    played: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(town: Town) -> None:
        monkeypatch.setattr(calling, "telephone", town.telephone)
        monkeypatch.setattr(calling, "TypedLines", lambda: Typed(stays=True))
        bob = asyncio.ensure_future(town.answer(Talking(out=town.folder / "out.wav")))
        await asyncio.sleep(1)
        assert await _say(town, "before", monkeypatch) is Exit.OK
        assert not bob.done()
        talk = asyncio.ensure_future(town.call("bob", TEXT_ONLY))
        await asyncio.sleep(5)
        assert await _say(town, "are you recording?", monkeypatch) is Exit.OK
        assert await town.send(town.write("notes.txt")) is Exit.OK
        before, line, path = town.told["bob"].results
        assert before.endswith("before")
        assert line.endswith("are you recording?")
        assert path == str(town.folder / "inbox" / "notes.txt")
        town.stops["alice"].request()
        assert [await talk, await bob] == [Exit.OK, Exit.OK]

    played(story)


def test_messages_are_taken_unasked_and_a_question_about_files_waits_for_the_call(
    played: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = Said()
    monkeypatch.setattr(answering, "TypedLines", lambda: typed)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)

    async def story(town: Town) -> None:
        monkeypatch.setattr(calling, "telephone", town.telephone)
        monkeypatch.setattr(calling, "TypedLines", lambda: Typed(stays=True))
        town.receiving = Receiving("ask", town.folder / "inbox")
        told = town.told["bob"]
        question = f"type y to take what alice sends into {town.folder / 'inbox'}"
        bob = asyncio.create_task(town.answering(300))
        await _say(town, "good morning", monkeypatch)
        assert len(told.results) == 1
        assert not any("type y" in note for note in told.notes)
        sends = asyncio.create_task(town.send(town.write("notes.txt")))
        await asyncio.sleep(5)
        assert told.notes[-1] == question
        town.stops["alice"] = Stop(lambda: None)
        talk = asyncio.ensure_future(town.call("bob", TEXT_ONLY))
        await asyncio.sleep(5)
        assert told.notes[-1].startswith("alice calls: type y")
        typed.say("y")
        await asyncio.sleep(5)
        typed.say("y")  # to alice, and no answer about files
        await asyncio.sleep(5)
        assert town.told["alice"].results[-1] == "bob: y"
        assert not (town.folder / "inbox" / "notes.txt").exists()
        town.stops["alice"].request()
        await talk
        await asyncio.sleep(5)
        assert told.notes[-1] == question
        typed.say("y")
        assert await sends is Exit.OK
        assert (town.folder / "inbox" / "notes.txt").exists()
        await bob

    played(story)


def test_strangers_bring_a_few_things_at_a_time(played: Callable[[Story], None]) -> None:
    """Who rings and then says nothing has a place for half a minute; whoever talks is not troubled."""

    async def story(town: Town) -> None:
        bob = asyncio.create_task(town.answering(100))
        await asyncio.sleep(1)
        strangers = [Stranger(town.exchange, f"stranger{n}") for n in range(6)]
        for _ in range(2):
            for stranger in strangers:
                stranger.ring("message")
            await asyncio.sleep(1)
        said = [stranger.declined for stranger in strangers]
        assert said == [["busy"]] * 4 + [["busy", "busy"]] * 2
        call = asyncio.ensure_future(town.call("bob", TEXT_ONLY))
        await asyncio.sleep(3)
        assert town.told["bob"].of("answered") == [{"name": "alice"}]
        await asyncio.sleep(30)
        strangers[5].ring("message")
        assert strangers[5].declined == ["busy", "busy"]
        town.stops["alice"].request()
        await call
        await bob

    played(story)


def test_pauses_grow_and_are_never_the_same() -> None:
    pauses = Pauses(Random(1))
    now, waited = 0.0, []
    for _ in range(12):
        assert pauses.due("bob", now)
        pauses.failed("bob", now)
        assert not pauses.due("bob", now)
        before = now
        while not pauses.due("bob", now):
            now += 1
        waited.append(now - before)
    assert 14 < waited[0] < 46
    assert max(waited) <= 1.5 * posting.LONGEST_PAUSE + 1
    assert len(set(waited)) > 8
    pauses.done("bob")
    assert pauses.due("bob", 0)


def test_what_is_wrong_is_said_before_anybody_is_called(tmp_path: Path) -> None:
    more = Sending(), NetworkSettings(), Settings(data_dir=tmp_path), Progress()
    with pytest.raises(UsageError, match="is not a name"):
        send("b", [str(tmp_path)], *more)
    with pytest.raises(CommandError, match="does not exist"):
        send("bob", [str(tmp_path / "nothing")], *more)
    with pytest.raises(UsageError, match="the same name"):
        send("bob", [str(tmp_path), f"{tmp_path}/"], *more)
    with pytest.raises(UsageError):
        message("b", ["hello"], *more[1:])
