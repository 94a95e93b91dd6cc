"""Watch a real file travel: tracker, seed and three downloaders as separate processes on loopback.

`scripts/demo [PATH]` starts this with everything installed. Without PATH it shares a copy of the running
Python's own library (without site-packages, with its `__pycache__`) plus one file of 256 MiB. Every program
is the one a user would start; what they say with `--json` is the progress shown here. At the end every file
of every copy is compared with the original byte by byte. The exit code is 0 only if all of them are equal.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from demo_files import DemoError, compare, make_data, need_room
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from p2pswarm.cli.text import printable
from p2pswarm.cli.views import Sample, bar_line
from p2pswarm.config import format_rate, format_size

DOWNLOADERS = 3
PATIENCE = 60.0  # seconds for a program to start, or for anything at all to move
STOPPING = 5.0  # seconds for a program to end; it promises 3

console = Console(stderr=True, highlight=False)


class Program:
    """A process of ours that speaks JSON lines; remembers the last status and the result."""

    def __init__(self, label: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.label = label
        self.process = process
        self.sample: Sample | None = None
        self.status: dict[str, Any] = {}
        self.finished: float | None = None  # when its result came
        self._log = log
        self._asked = False

    async def listen(self, changed: Callable[[], None]) -> None:
        """Until the program closes its stdout; what is no JSON (the tracker's URL) is not for us."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            if not line.startswith(b"{"):
                continue
            event = json.loads(line)
            if event["event"] == "status":
                self.status = event
                self.sample = _sample(self.label, event)
            elif event["event"] == "result":
                self.finished = time.monotonic()
            changed()

    def must_live(self) -> None:
        """Raises DemoError with the program's last words when it has ended."""
        if self.process.returncode is not None:
            said = self._log.read_text("utf-8", "replace").strip().splitlines() or ["nothing"]
            raise DemoError(f"{self.label} ended with {self.process.returncode}: {said[-1]}")

    def ask_to_stop(self) -> None:
        """Once: a second signal would end it without saying good-bye."""
        if self.process.returncode is None and not self._asked:
            self._asked = True
            self.process.terminate()

    async def stop(self) -> None:
        self.ask_to_stop()
        try:
            await asyncio.wait_for(self.process.wait(), STOPPING)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


def _sample(label: str, status: dict[str, Any]) -> Sample:
    keys = ("state", "done", "total", "down_rate", "up_rate", "peers", "seeds", "eta")
    return Sample(label, **{key: status[key] for key in (*keys, "availability")})


class Demo:
    """The folder it works in, the programs it runs, and the picture of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs: list[Program] = []
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def program(self, label: str, *arguments: str) -> AsyncIterator[Program]:
        """A running program; it is stopped at the end, come what may."""
        log = self.folder / f"{label.replace(' ', '-')}.log"
        with log.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", *arguments,
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=stderr,
                env=self._environment(label), start_new_session=True, limit=1 << 20,
            )  # fmt: skip
        program = Program(label, process, log)
        listening = asyncio.create_task(program.listen(self._changed.set))
        try:
            yield program
        finally:
            await program.stop()
            await listening

    def _environment(self, label: str) -> dict[str, str]:
        """Nothing of the user's: no configuration, resume data of its own."""
        clean = {key: value for key, value in os.environ.items() if key[:9] != "P2PSWARM_"}
        private = str(self.folder / f"home of {label}")
        return {**clean, "P2PSWARM_DATA_DIR": private, "XDG_CONFIG_HOME": private}

    async def until(self, done: Callable[[], bool], what: str, show: Callable[[], None]) -> None:
        """Wait, and show how it goes. Raises DemoError when a program ends or nothing moves."""
        moved, seen = time.monotonic(), self._progress()
        while not done():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), 1.0)
            self._changed.clear()
            show()
            for program in self.programs:
                program.must_live()
            if self._progress() != seen:
                moved, seen = time.monotonic(), self._progress()
            if time.monotonic() - moved > PATIENCE:
                raise DemoError(f"nothing moved for {PATIENCE:.0f} s while waiting for {what}")

    def _progress(self) -> list[Any]:
        return [program.status.get("done") for program in self.programs]


@contextlib.contextmanager
def picture(programs: Sequence[Program]):  # type: ignore[no-untyped-def]
    """A function that shows all programs: lines that renew themselves, or plain ones in a pipe."""
    if not console.is_terminal:
        yield _plain_lines(programs)
        return
    with Live(console=console, auto_refresh=False) as live:
        yield lambda: live.update(Group(*map(_line, programs)), refresh=True)


def _line(program: Program) -> Text:
    if program.sample is None:
        return Text(f"{program.label} starts")
    width = console.width if console.is_terminal else 200
    name, bar, facts = bar_line(program.sample, width)
    return Text.assemble(name, " ", (bar, "cyan"), " ", facts, no_wrap=True, overflow="crop")


def _plain_lines(programs: Sequence[Program]) -> Callable[[], None]:
    printed = 0.0

    def show() -> None:
        nonlocal printed
        if time.monotonic() - printed >= 1.0:
            printed = time.monotonic()
            for program in programs:
                console.print(_line(program), soft_wrap=True)

    return show


# The journey


def say(text: str) -> None:
    console.print(Text(printable(text)))


def addresses(count: int) -> list[str]:
    """One loopback address for each peer; macOS has only 127.0.0.1 until somebody adds more."""
    wanted = [f"127.0.0.{number}" for number in range(2, count + 2)]
    try:
        for address in wanted:
            with socket.socket() as probe:
                probe.bind((address, 0))
    except OSError:
        return ["127.0.0.1"] * count
    return wanted


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
        return True
    return False


async def run_once(*arguments: str) -> str:
    """A command that ends by itself: its stdout; its progress goes to our stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "p2pswarm", *arguments, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    if process.returncode:
        raise DemoError(f"p2pswarm {arguments[0]} ended with {process.returncode}")
    return out.decode()


async def journey(folder: Path, path: Path | None) -> bool:
    """True when every copy is identical."""
    demo = Demo(folder)
    data = path
    if data is None:
        say("copying Python's own library, and making a large file")
        data = await asyncio.to_thread(make_data, folder)
    await asyncio.to_thread(need_room, data, folder, DOWNLOADERS)
    port = free_port()
    torrent = folder / "demo.torrent"
    url = f"http://127.0.0.1:{port}/announce"
    await run_once("create", str(data), "--tracker", url, "--output", str(torrent))
    facts = json.loads(await run_once("info", str(torrent), "--json"))
    say(f"{len(facts['files'])} files, {format_size(facts['size'])}, {facts['pieces']} pieces")
    async with AsyncExitStack() as stack:
        await start_tracker(stack, demo, port)
        seed, *others = addresses(DOWNLOADERS + 1)
        await start_seed(stack, demo, torrent, data, seed)
        began = time.monotonic()
        for number, address in enumerate(others, 1):
            await start_get(stack, demo, torrent, number, address)
        try:
            await watch(demo)
        finally:
            for program in demo.programs:
                program.ask_to_stop()  # all together, then wait for one after the other
        took = max(program.finished or 0.0 for program in demo.programs) - began
    return await verdict(demo, data, facts, took)


async def start_tracker(stack: AsyncExitStack, demo: Demo, port: int) -> None:
    where = ("--host", "127.0.0.1", "--port", str(port), "--interval", "2")
    tracker = await stack.enter_async_context(demo.program("tracker", "tracker", *where))
    deadline = time.monotonic() + PATIENCE
    while not await asyncio.to_thread(answers, port):
        tracker.must_live()
        if time.monotonic() > deadline:
            raise DemoError("the tracker does not answer")
        await asyncio.sleep(0.1)


async def start_seed(
    stack: AsyncExitStack, demo: Demo, torrent: Path, data: Path, address: str
) -> None:
    options = ("--data", str(data), "--bind", address, "--port", "0", "--json")
    seed = await stack.enter_async_context(
        demo.program("seed", "p2pswarm", "seed", str(torrent), *options)
    )
    demo.programs.append(seed)
    with picture([seed]) as show:
        await demo.until(lambda: _announced(seed), "the seed's announce", show)


def _announced(seed: Program) -> bool:
    trackers = seed.status.get("trackers", [])
    return any(tracker["state"] == "working" for tracker in trackers)


async def start_get(
    stack: AsyncExitStack, demo: Demo, torrent: Path, number: int, address: str
) -> None:
    options = ("--bind", address, "--port", "0", "--stay", "--json")
    target = demo.folder / f"copy {number}"
    program = demo.program(
        f"peer {number}", "p2pswarm", "get", str(torrent), "--output", str(target), *options
    )
    demo.programs.append(await stack.enter_async_context(program))


async def watch(demo: Demo) -> None:
    _, *downloaders = demo.programs
    with picture(demo.programs) as show:
        await demo.until(lambda: all(p.finished for p in downloaders), "the downloads", show)
        show()


async def verdict(demo: Demo, data: Path, facts: dict[str, Any], took: float) -> bool:
    say("comparing every byte")
    equal = True
    for number in range(1, DOWNLOADERS + 1):
        copy = demo.folder / f"copy {number}"
        faults = await asyncio.to_thread(compare, data, copy, facts["files"])
        equal = equal and not faults
        say(f"copy {number}: " + ("identical" if not faults else "; ".join(faults[:5])))
    moved = DOWNLOADERS * facts["size"]
    sent = demo.programs[0].status.get("uploaded", 0)
    say(f"{format_size(moved)} to {DOWNLOADERS} peers in {took:.1f} s, {format_rate(moved / took)}")
    if facts["size"]:
        say(f"the seed sent {sent / facts['size']:.2f} copies, the peers gave each other the rest")
    return equal


async def main(path: Path | None) -> bool:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    with tempfile.TemporaryDirectory(prefix="p2pswarm-demo-") as folder:
        return await journey(Path(folder), path)


if __name__ == "__main__":
    if len(sys.argv) > 2 or "-h" in sys.argv or "--help" in sys.argv:
        sys.exit("usage: scripts/demo [PATH]")
    try:
        chosen = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else None
        sys.exit(0 if asyncio.run(main(chosen)) else 1)
    except (DemoError, OSError) as error:
        say(f"demo: {error}")
        sys.exit(1)
    except asyncio.CancelledError:
        sys.exit(130)
