"""What a call does on a command line, in virtual time: when it ends, what is told, what is piped."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from p2pswarm.calling.call import Call
from p2pswarm.cli.conversing import MOST_LINES, converse, sounds_of
from p2pswarm.cli.talking import Talking
from p2pswarm.errors import HostError, NetworkError
from p2pswarm.lab.loop import VirtualLoop, play
from tests.support.phones import Exchange
from tests.support.sound import likeness, read_wav, speech, write_wav

if TYPE_CHECKING:
    from p2pswarm.calling.phone import Incoming


class Told:
    """A report that keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.results: list[str] = []

    def note(self, text: str, *, again: bool = False) -> None:
        self.notes.append(text)

    def event(self, name: str, /, **fields: Any) -> None:
        json.dumps(fields)
        self.events.append((name, fields))

    def result(self, line: str, **fields: Any) -> None:
        json.dumps(fields)
        self.results.append(line)

    def of(self, name: str) -> list[dict[str, Any]]:
        return [fields for each, fields in self.events if each == name]


class Typed:
    """Lines that are typed, one in a second; then no more, or silence."""

    def __init__(self, *lines: str, stays: bool = False) -> None:
        self._lines = list(lines)
        self._stays = stays

    async def line(self) -> str | None:
        await asyncio.sleep(1)
        if not self._lines and self._stays:
            await asyncio.Event().wait()
        return self._lines.pop(0) if self._lines else None


class Talker:
    """One side of the command."""

    def __init__(self, how: Talking, typed: Typed, *, calls: bool) -> None:
        self.how, self.typed, self.calls = how, typed, calls
        self.told = Told()
        self.call: Call

    async def talk(self, call: Call) -> None:
        self.call = call
        told: Any = self.told
        sounds = sounds_of(self.how, told)
        typed: Any = self.typed
        await call.open()
        try:
            await converse(call, self.how, sounds, typed, told, calls=self.calls)
        finally:
            await call.hang_up()
            sounds.close()


Story = Callable[[Exchange, VirtualLoop], Awaitable[None]]


def between(
    folder: Path, caller: Talker, callee: Talker, meanwhile: Story | None = None
) -> tuple[list[BaseException | None], float]:
    """Both talk; how it ended for each of them, and after how many seconds."""

    async def story(loop: VirtualLoop) -> tuple[list[BaseException | None], float]:
        exchange = Exchange(loop, folder)
        came: asyncio.Queue[Incoming] = asyncio.Queue()
        exchange.bob.phone.on_incoming = came.put_nowait

        async def answer() -> None:
            await callee.talk(await exchange.bob.phone.answer(await came.get()))

        async def ring() -> None:
            await caller.talk(await exchange.alice.phone.call("bob", caller.how.wants))

        async def also() -> None:
            if meanwhile is not None:
                await meanwhile(exchange, loop)

        ends = await asyncio.gather(ring(), answer(), also(), return_exceptions=True)
        assert ends[2] is None, ends[2]
        return ends[:2], loop.now

    return play(story)


def test_a_file_is_said_and_recorded_and_then_both_hang_up(tmp_path: Path) -> None:
    write_wav(tmp_path / "in.wav", speech(3.0))
    caller = Talker(Talking(in_=tmp_path / "in.wav"), Typed(stays=True), calls=True)
    callee = Talker(Talking(out=tmp_path / "out.wav"), Typed(stays=True), calls=False)
    ends, took = between(tmp_path, caller, callee)
    assert ends == [None, None]
    assert 4 < took < 6
    assert likeness(speech(3.0), read_wav(tmp_path / "out.wav"))[0] > 0.97
    assert callee.told.notes[0] == "alice: direct, 60 ms (unknown NAT / unknown NAT)"
    assert callee.told.of("path")[0]["direct"] is True
    [whole] = callee.told.of("call")
    assert whole["heard"] >= 148  # before the callee talks, nobody hears
    assert whole["lost"] == 0
    assert 80 < whole["delay_ms"] < 150
    assert len(callee.told.of("quality")) >= 3
    assert callee.told.notes[-1].startswith("in all: lost 0.0% here")
    assert "mouth to ear" in callee.told.notes[-1]


def test_files_both_ways_end_when_both_are_over(tmp_path: Path) -> None:
    write_wav(tmp_path / "short.wav", speech(1.0))
    write_wav(tmp_path / "long.wav", speech(4.0, seed=2))
    caller = Talker(
        Talking(in_=tmp_path / "short.wav", out=tmp_path / "a.wav"), Typed(), calls=True
    )
    callee = Talker(
        Talking(in_=tmp_path / "long.wav", out=tmp_path / "b.wav"), Typed(), calls=False
    )
    assert between(tmp_path, caller, callee)[0] == [None, None]
    assert likeness(speech(4.0, seed=2), read_wav(tmp_path / "a.wav"))[0] > 0.97
    assert likeness(speech(1.0), read_wav(tmp_path / "b.wav"))[0] > 0.97


def test_lines_are_said_and_the_call_ends_with_them(tmp_path: Path) -> None:
    caller = Talker(Talking(audio=False), Typed("hello", "", "\x1b[31mred"), calls=True)
    callee = Talker(Talking(audio=False), Typed("who is there?", stays=True), calls=False)
    assert between(tmp_path, caller, callee)[0] == [None, None]
    assert callee.told.results == ["alice: hello", "alice: \\x1b[31mred"]
    assert caller.told.results == ["bob: who is there?"]


def test_who_writes_without_end_is_not_read_without_end(tmp_path: Path) -> None:
    async def flood(exchange: Exchange, loop: VirtualLoop) -> None:
        await asyncio.sleep(0.5)
        for number in range(100):
            caller.call.say(str(number))

    caller = Talker(Talking(audio=False), Typed("the last"), calls=True)
    callee = Talker(Talking(audio=False), Typed(stays=True), calls=False)
    between(tmp_path, caller, callee, flood)
    assert len(callee.told.results) == MOST_LINES
    assert callee.told.notes.count("alice writes more than anybody reads") == 1


def test_a_call_that_is_lost_is_an_error(tmp_path: Path) -> None:
    async def lose(exchange: Exchange, loop: VirtualLoop) -> None:
        await asyncio.sleep(2)
        exchange.ways.blocked = True
        exchange.ways.cut()

    caller = Talker(Talking(audio=False), Typed(stays=True), calls=True)
    callee = Talker(Talking(audio=False), Typed(stays=True), calls=False)
    ends, took = between(tmp_path, caller, callee, lose)
    assert all(isinstance(end, NetworkError) for end in ends)
    assert 30 < took < 45


def test_a_file_that_nobody_hears_to_its_end_is_an_error(tmp_path: Path) -> None:
    write_wav(tmp_path / "in.wav", speech(3.0))

    async def die(exchange: Exchange, loop: VirtualLoop) -> None:
        await asyncio.sleep(2)
        exchange.ways.blocked = True
        exchange.ways.cut()

    caller = Talker(Talking(in_=tmp_path / "in.wav"), Typed(stays=True), calls=True)
    callee = Talker(Talking(audio=False), Typed(stays=True), calls=False)
    ends, _ = between(tmp_path, caller, callee, die)
    assert isinstance(ends[0], NetworkError)


class Program:
    """Says its bytes and keeps what it hears, slowly."""

    def __init__(self, says: bytes) -> None:
        self._says = says
        self.heard = b""

    async def read(self, most: int) -> bytes:
        data, self._says = self._says[:most], self._says[most:]
        return data

    async def write(self, data: bytes) -> None:
        await asyncio.sleep(0.5)
        self.heard += data

    async def write_end(self) -> None:
        self.heard += b"|"


def test_a_pipe_is_whole_before_anybody_hangs_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = [Program(b"a" * 300_000), Program(b"b" * 30_000)]
    made = iter(programs)
    monkeypatch.setattr("p2pswarm.cli.conversing.StandardPipe", lambda: next(made))
    caller = Talker(Talking(pipe=True), Typed(), calls=True)
    callee = Talker(Talking(pipe=True), Typed(), calls=False)
    assert between(tmp_path, caller, callee)[0] == [None, None]
    assert sorted(len(program.heard.rstrip(b"|")) for program in programs) == [30_000, 300_000]
    assert caller.call.wants == callee.call.wants == "pipe"
    assert caller.call.pipe.is_whole
    assert callee.call.pipe.is_whole


def test_files_that_cannot_be_used_are_told_before_anybody_rings(tmp_path: Path) -> None:
    told: Any = Told()
    with pytest.raises(HostError, match=r"nothing\.wav"):
        sounds_of(Talking(in_=tmp_path / "nothing.wav"), told)
    with pytest.raises(OSError, match="No such file"):
        sounds_of(Talking(out=tmp_path / "nowhere" / "out.wav"), told)
    write_wav(tmp_path / "in.wav", speech(0.1))
    before = (tmp_path / "in.wav").read_bytes()
    with pytest.raises(HostError, match=r"in\.wav is said"):
        sounds_of(Talking(in_=tmp_path / "in.wav", out=tmp_path / "in.wav"), told)
    assert (tmp_path / "in.wav").read_bytes() == before
    with pytest.raises(ValueError, match="--pipe has no sound"):
        Talking(pipe=True, out=tmp_path / "out.wav")


def test_a_sound_at_standard_input_is_not_read_as_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_wav(tmp_path / "in.wav", speech(0.5))
    monkeypatch.setattr("p2pswarm.cli.conversing._is_standard_input", lambda path: True)
    caller = Talker(Talking(in_=tmp_path / "in.wav"), Typed("RIFF"), calls=True)
    callee = Talker(Talking(out=tmp_path / "out.wav"), Typed(stays=True), calls=False)
    assert between(tmp_path, caller, callee)[0] == [None, None]
    assert callee.told.results == []


def test_without_a_microphone_it_is_text_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    told: Any = Told()
    sounds = sounds_of(Talking(), told)
    assert (sounds.source, sounds.sink) == (None, None)
    assert told.notes[0].startswith("no sound here")


def test_without_opus_a_person_writes_and_a_machine_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opuslib_next", None)
    told: Any = Told()
    assert sounds_of(Talking(), told).source is None
    assert told.notes == ["voice needs libopus: install the package libopus0 (or opus)"]
    with pytest.raises(HostError, match="libopus0"):
        sounds_of(Talking(out=tmp_path / "out.wav"), told)
