"""`call` and `answer` against each other in virtual time, from the ring to the exit code."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from p2pswarm.cli import calling
from p2pswarm.cli.calling import _answer, _call, answer, call
from p2pswarm.cli.exits import Exit, UsageError, exit_code
from p2pswarm.cli.options import Inquiry, Progress, Receiving
from p2pswarm.cli.running import Stop, StoppedError
from p2pswarm.cli.talking import Talking
from p2pswarm.cli.telephones import Telephone
from p2pswarm.config import NetworkSettings, Settings
from p2pswarm.errors import DeclinedError, NetworkError, OfflineError, UnknownNameError
from p2pswarm.lab.loop import VirtualLoop, play
from tests.cli.test_conversing import Told, Typed
from tests.support.phones import Exchange
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

    @asynccontextmanager
    async def telephone(
        self, networks: object, settings: Any, report: object, stop: object
    ) -> AsyncIterator[Telephone]:
        phone = self.exchange.people[settings].phone
        node: Any = self.nodes.get(settings)
        try:
            yield Telephone(phone, node, self.folder / settings / "people", at_once)
        finally:
            phone.close()

    def call(self, name: str, talking: Talking, who: str = "alice") -> Awaitable[Exit]:
        told: Any = self.told[who]
        settings: Any = who
        return _call(name, talking, False, NetworkSettings(), settings, told, self.stops[who])

    def answer(self, talking: Talking, who: str = "bob") -> Awaitable[Exit]:
        told: Any = self.told[who]
        settings: Any = who
        return _answer(talking, self.receiving, NetworkSettings(), settings, told, self.stops[who])


Story = Callable[[Commands, VirtualLoop], Awaitable[None]]


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Story], None]:
    monkeypatch.setattr(calling, "TypedLines", lambda: Typed(stays=True))

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
        assert commands.told["bob"].of("incoming") == [{"name": "alice"}]
        assert commands.told["alice"].of("answered") == [{"name": "bob"}]
        assert [name for name, _ in commands.told["bob"].events][-1] == "hung_up"

    played(story)
    assert likeness(speech(2.0), read_wav(tmp_path / "out.wav"))[0] > 0.97


def test_who_answers_takes_one_after_the_other_and_is_busy_meanwhile(
    played: Callable[[Story], None],
) -> None:
    async def story(commands: Commands, loop: VirtualLoop) -> None:
        text = Talking(audio=False)
        answering = asyncio.ensure_future(commands.answer(text))
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
            await answering
        assert await second == Exit.OK
        assert len(commands.told["bob"].of("answered")) == 2
        assert len(commands.told["alice"].of("hung_up")) == 2

    played(story)


def test_a_person_is_asked_first(
    played: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calling.sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(calling, "TypedLines", lambda: Typed("who?", " Yes", stays=True))

    async def story(commands: Commands, loop: VirtualLoop) -> None:
        text = Talking(audio=False)
        answering = asyncio.ensure_future(commands.answer(text))
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
        await asyncio.gather(answering, return_exceptions=True)
        assert len(commands.told["bob"].of("answered")) == 1

    played(story)


def test_a_pipe_needs_a_pipe(played: Callable[[Story], None]) -> None:
    async def story(commands: Commands, loop: VirtualLoop) -> None:
        answering = asyncio.ensure_future(commands.answer(Talking(audio=False)))
        assert await commands.call("bob", Talking(pipe=True)) == Exit.OK
        assert commands.told["alice"].of("hung_up")[0]["reason"] == "no pipe here, only a call"
        commands.stops["bob"].request()
        await asyncio.gather(answering, return_exceptions=True)

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
            "bob", Talking(pipe=True), Inquiry(), NetworkSettings(), Settings(), Progress(json=True)
        ),
        lambda: answer(
            Talking(pipe=True), Receiving(), NetworkSettings(), Settings(), Progress(json=True)
        ),
    ):
        with pytest.raises(UsageError, match="--json has no place"):
            act()
