"""`call` and `answer` against each other in virtual time, from the ring to the exit code."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from p2pswarm.calling.contacts import Contacts
from p2pswarm.cli import answering, calling
from p2pswarm.cli.answering import _answer, answer
from p2pswarm.cli.calling import _call, call
from p2pswarm.cli.exits import Exit, UsageError, exit_code
from p2pswarm.cli.options import Inquiry, Progress, Receiving, Waiting
from p2pswarm.cli.running import Stop, StoppedError
from p2pswarm.cli.talking import Talking
from p2pswarm.cli.telephones import Telephone
from p2pswarm.config import NetworkSettings, Settings
from p2pswarm.errors import DeclinedError, NetworkError, OfflineError, UnknownNameError
from p2pswarm.lab.loop import VirtualLoop, play
from tests.cli.test_conversing import Told, Typed
from tests.support.phones import Exchange, Stranger
from tests.support.sound import likeness, read_wav, speech, write_wav


async def at_once(job: Callable[..., Any], *words: Any) -> Any:
    """Where there are no threads."""
    await asyncio.sleep(0)
    return job(*words)


class Commands:
    """Both commands; who runs which is said by `settings`."""

    def __init__(self, exchange: Exchange, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.nodes, self.receiving = folder, dict[str, Any](), Receiving()
        self.exchange = exchange
        self.stops = {name: Stop(lambda: None) for name in ("alice", "bob")}
        self.told = {name: Told() for name in ("alice", "bob")}
        self.typed = {name: Typed(stays=True) for name in ("alice", "bob")}
        monkeypatch.setattr(calling, "telephone", self.telephone)
        monkeypatch.setattr(answering, "telephone", self.telephone)

    @asynccontextmanager
    async def telephone(
        self, networks: object, settings: Any, report: object, stop: object, **answers: bool
    ) -> AsyncIterator[Telephone]:
        phone = self.exchange.people[settings].phone
        node: Any = self.nodes.get(settings)
        try:
            yield Telephone(phone, node, self.folder / settings / "people", at_once)
        finally:
            phone.close()

    def call(
        self, name: str, talking: Talking, who: str = "alice", wait: float | None = None
    ) -> Awaitable[Exit]:
        told: Any = self.told[who]
        more: Any = NetworkSettings(), who, told, self.stops[who]
        return _call(name, False, wait, talking, *more)

    def answer(self, talking: Talking, who: str = "bob") -> Awaitable[Exit]:
        told: Any = self.told[who]
        settings: Any = who
        return _answer(talking, self.receiving, NetworkSettings(), settings, told, self.stops[who])


Story = Callable[[Commands, VirtualLoop], Awaitable[None]]


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Story], None]:
    for room in (calling, answering):
        monkeypatch.setattr(room, "TypedLines", lambda: Typed(stays=True))

    def play_it(story: Story) -> None:
        async def begin(loop: VirtualLoop) -> None:
            await story(Commands(Exchange(loop, tmp_path), tmp_path, monkeypatch), loop)

        play(begin)

    return play_it


def test_machines_talk_once_and_end(played: Callable[[Story], None], tmp_path: Path) -> None:
    write_wav(tmp_path / "in.wav", speech(2.0))

    async def story(commands: Commands, loop: VirtualLoop) -> None:
        ends = await asyncio.gather(
            commands.answer(Talking(out=tmp_path / "out.wav")),
            commands.call("bob", Talking(in_=tmp_path / "in.wav")),
        )
        assert ends == [Exit.OK, Exit.OK]
        assert commands.told["bob"].of("incoming") == [{"name": "alice", "want": "call"}]
        assert commands.told["alice"].of("answered") == [{"name": "bob"}]
        assert [name for name, _ in commands.told["bob"].events][-1] == "hung_up"

    played(story)
    assert likeness(speech(2.0), read_wav(tmp_path / "out.wav"))[0] > 0.97


def test_a_file_that_cannot_be_written_is_told_before_anybody_calls(
    played: Callable[[Story], None], tmp_path: Path
) -> None:
    async def story(commands: Commands, loop: VirtualLoop) -> None:
        with pytest.raises(OSError, match="No such file"):
            await commands.answer(Talking(out=tmp_path / "missing" / "out.wav"))
        assert not commands.told["bob"].notes

    played(story)


def test_who_answers_takes_one_after_the_other_and_is_busy_meanwhile(
    played: Callable[[Story], None],
) -> None:
    async def story(commands: Commands, loop: VirtualLoop) -> None:
        text = Talking(audio=False)
        answers = asyncio.ensure_future(commands.answer(text))
        first = asyncio.ensure_future(commands.call("bob", text))
        await asyncio.sleep(1)
        with pytest.raises(DeclinedError, match="busy"):
            await commands.call("bob", text)
        commands.stops["alice"].request()
        assert await first == Exit.OK  # to hang up is no failure
        commands.stops["alice"] = Stop(lambda: None)
        second = asyncio.ensure_future(commands.call("bob", text))
        await asyncio.sleep(1)
        commands.stops["bob"].request()
        with pytest.raises(StoppedError):
            await answers
        assert await second == Exit.OK
        assert len(commands.told["bob"].of("answered")) == 2
        assert len(commands.told["alice"].of("hung_up")) == 2

    played(story)


def test_a_person_is_asked_first(
    played: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering.sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(answering, "TypedLines", lambda: Typed("who?", " Yes", stays=True))

    async def story(commands: Commands, loop: VirtualLoop) -> None:
        text = Talking(audio=False)
        answers = asyncio.ensure_future(commands.answer(text))
        with pytest.raises(DeclinedError, match="refused"):
            await commands.call("bob", text)
        calls = asyncio.ensure_future(commands.call("bob", text))
        await asyncio.sleep(3)
        commands.stops["alice"].request()
        await calls
        commands.stops["alice"] = Stop(lambda: None)
        with pytest.raises(DeclinedError):  # nobody types any more
            await commands.call("bob", text)
        commands.stops["bob"].request()
        await asyncio.gather(answers, return_exceptions=True)
        assert len(commands.told["bob"].of("answered")) == 1

    played(story)


def test_who_is_not_there_is_told_of_what_one_can_do(played: Callable[[Story], None]) -> None:
    async def story(commands: Commands, loop: VirtualLoop) -> None:
        commands.exchange.away.add("bob")
        with pytest.raises(
            OfflineError, match=r"bob is not there: .*message bob TEXT .*--wait-for"
        ):
            await commands.call("bob", Talking(audio=False))
        assert loop.now < 1.0

    played(story)


@pytest.mark.parametrize("away", [200.0, 4000.0])
def test_who_is_not_there_is_waited_for(played: Callable[[Story], None], away: float) -> None:
    async def story(commands: Commands, loop: VirtualLoop) -> None:
        text, alice = Talking(audio=False), commands.exchange.alice
        commands.exchange.away.add("bob")
        tries: list[float] = []
        find = alice.find

        async def counted(name: str, *, recursive: bool = False) -> Any:
            tries.append(loop.now)
            return await find(name, recursive=recursive)

        alice.find = counted  # type: ignore[method-assign]
        call = asyncio.ensure_future(commands.call("bob", text, wait=2 * away))
        await asyncio.sleep(away)
        assert not call.done()
        pauses = [later - earlier for earlier, later in pairwise(tries)]
        assert pauses[0] < 5
        assert max(pauses) < 40
        assert min(pauses[4:]) > 20
        assert len(set(pauses)) == len(pauses)
        assert commands.told["alice"].notes.count("bob is not there: at home nowhere; waiting") == 1
        assert len(commands.told["alice"].of("waiting")) == len(tries)
        commands.exchange.away.clear()  # he is at home, and a moment later he answers
        await asyncio.sleep(0.1)
        answers = asyncio.ensure_future(commands.answer(text))
        while not commands.told["bob"].of("answered"):
            await asyncio.sleep(1)
        assert loop.now < away + 45
        commands.stops["alice"].request()
        assert await call == Exit.OK
        commands.stops["bob"].request()
        await asyncio.gather(answers, return_exceptions=True)

    played(story)


def test_to_wait_has_an_end_and_does_not_help_with_everybody(
    played: Callable[[Story], None],
) -> None:
    async def story(commands: Commands, loop: VirtualLoop) -> None:
        text = Talking(audio=False)
        commands.exchange.away.add("bob")
        with pytest.raises(OfflineError, match="is not there"):
            await commands.call("bob", text, wait=60.0)
        assert 60 <= loop.now < 61
        with pytest.raises(UnknownNameError):
            await commands.call("carol", text, wait=60.0)
        assert loop.now < 62
        Contacts(commands.folder / "alice" / "people" / "contacts").add("carol")
        with pytest.raises(UnknownNameError):  # away for so long that nobody remembers her
            await commands.call("carol", text, wait=60.0)
        assert loop.now >= 120
        commands.exchange.away.clear()
        phone = commands.exchange.bob.phone
        phone.on_incoming = phone.decline
        with pytest.raises(DeclinedError, match="refused"):
            await commands.call("bob", text, wait=60.0)
        waiting = asyncio.ensure_future(commands.call("bob", text, wait=None))
        phone.on_incoming = lambda incoming: None
        with pytest.raises(DeclinedError, match="does not answer"):
            await waiting

    played(story)


@pytest.fixture
def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Bob sits at one, and types this."""

    def sits(*lines: str) -> None:
        monkeypatch.setattr(answering.sys.stdin, "isatty", lambda: True, raising=False)
        monkeypatch.setattr(answering, "TypedLines", lambda: Typed(*lines, stays=True))

    return sits


def test_who_gives_up_is_a_missed_call_and_the_next_one_is_asked_for(
    played: Callable[[Story], None], at_a_terminal: Callable[..., None]
) -> None:
    at_a_terminal()

    async def story(commands: Commands, loop: VirtualLoop) -> None:
        text, told = Talking(audio=False), commands.told["bob"]
        answers = asyncio.ensure_future(commands.answer(text))
        for ring in (1, 2):
            call = asyncio.ensure_future(commands.call("bob", text))
            await asyncio.sleep(3)
            assert len(told.of("incoming")) == ring
            assert len(told.of("missed")) == ring - 1
            commands.stops["alice"].request()
            with pytest.raises(StoppedError):
                await call
            await asyncio.sleep(0.1)
            assert told.of("missed") == [{"name": "alice"}] * ring
            assert told.notes[-1] == "missed a call of alice"
            commands.stops["alice"] = Stop(lambda: None)
        with pytest.raises(DeclinedError):
            await commands.call("bob", text)
        assert len(told.of("missed")) == 3  # nobody typed anything
        commands.stops["bob"].request()
        await asyncio.gather(answers, return_exceptions=True)

    played(story)


def test_who_rings_while_another_one_is_decided_on_waits_for_that(
    played: Callable[[Story], None], at_a_terminal: Callable[..., None]
) -> None:
    at_a_terminal()

    async def story(commands: Commands, loop: VirtualLoop) -> None:
        told = commands.told["bob"]
        answers = asyncio.ensure_future(commands.answer(Talking(audio=False)))
        await asyncio.sleep(0)
        strangers = [Stranger(commands.exchange, f"stranger{n}") for n in range(4)]
        rungs = [stranger.ring() for stranger in strangers]
        await asyncio.sleep(1)
        assert [stranger.declined for stranger in strangers] == [[], [], [], []]
        assert [each["name"] for each in told.of("incoming")] == ["stranger0"]
        rungs[0].cancel()
        await asyncio.sleep(1)
        assert [each["name"] for each in told.of("incoming")] == ["stranger0", "stranger1"]
        commands.stops["bob"].request()
        await asyncio.gather(answers, return_exceptions=True)
        assert [stranger.declined for stranger in strangers[1:]] == [["refused"]] * 3

    played(story)


def test_a_pipe_needs_a_pipe(played: Callable[[Story], None]) -> None:
    async def story(commands: Commands, loop: VirtualLoop) -> None:
        answers = asyncio.ensure_future(commands.answer(Talking(audio=False)))
        with pytest.raises(NetworkError, match="the pipe with bob is not whole"):
            await commands.call("bob", Talking(pipe=True))
        assert commands.told["alice"].of("hung_up")[0]["reason"] == "no pipe here, only a call"
        commands.stops["bob"].request()
        await asyncio.gather(answers, return_exceptions=True)

    played(story)


def test_a_call_that_nobody_takes_has_its_exit_code(played: Callable[[Story], None]) -> None:
    async def story(commands: Commands, loop: VirtualLoop) -> None:
        with pytest.raises(UnknownNameError):
            await commands.call("carol", Talking(audio=False))

    played(story)
    assert exit_code(UnknownNameError("?")) == Exit.BAD_TORRENT
    assert exit_code(OfflineError("?")) == Exit.NO_PEERS
    assert exit_code(DeclinedError("?", "busy")) == Exit.NO_PEERS
    assert exit_code(NetworkError("?")) == Exit.NETWORK


def test_a_pipe_has_standard_output_for_itself() -> None:
    for act in (
        lambda: call(
            "bob",
            Talking(pipe=True),
            Inquiry(),
            Waiting(),
            NetworkSettings(),
            Settings(),
            Progress(json=True),
        ),
        lambda: answer(
            Talking(pipe=True), Receiving(), NetworkSettings(), Settings(), Progress(json=True)
        ),
    ):
        with pytest.raises(UsageError, match="--json has no place"):
            act()
