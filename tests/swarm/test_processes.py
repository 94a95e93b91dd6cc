"""A swarm of real processes: eight that start together live mostly on each other, not on the seed."""

import filecmp
import random
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.support.processes import Program, program

SIZE = 64_000_000
DOWNLOADERS = 8
MOST_COPIES = 2.5  # uploaded by the seed; eight would be a server's work
LIMIT = ("--up-limit", "8MB")


def test_the_seed_uploads_less_than_two_and_a_half_copies(tmp_path: Path) -> None:
    data, torrent = tmp_path / "data", tmp_path / "data.torrent"
    data.write_bytes(random.Random(8).randbytes(SIZE))
    with ExitStack() as stack:
        run = _Runner(stack, tmp_path)
        where = ("--host", "127.0.0.1", "--port", 0, "--interval", 1)
        tracker = run("tracker", *where, module="tracker")
        announce = tracker.wait_for_line()
        create = run("create", "create", data, "-o", torrent, "--tracker", announce)
        assert create.wait() == 0, create.stderr
        seed = run("seed", "seed", torrent, "--data", data, *run.place(), *LIMIT)
        seed.wait_for("tracker_replied")
        others = [
            run(f"get {n}", "get", torrent, "-o", tmp_path / f"copy {n}", *run.place(), *LIMIT)
            for n in range(DOWNLOADERS)
        ]
        for other in others:
            assert other.wait() == 0, other.stderr
        assert seed.stop() == 0, seed.stderr
    for n in range(DOWNLOADERS):
        assert filecmp.cmp(data, tmp_path / f"copy {n}" / "data", shallow=False)
    assert _last_status(seed)["uploaded"] / SIZE < MOST_COPIES


class _Runner:
    """Starts programs that end with the test; each peer has an address of its own."""

    def __init__(self, stack: ExitStack, home: Path) -> None:
        self._stack, self._home = stack, home
        self._peers = 1

    def __call__(self, name: str, *arguments: object, module: str = "p2pswarm") -> Program:
        running = program(self._home / name, *arguments, module=module)
        return self._stack.enter_context(running)

    def place(self) -> tuple[object, ...]:
        self._peers += 1
        return ("--bind", f"127.0.0.{self._peers}", "--port", 0, "--json")


def _last_status(running: Program) -> dict[str, Any]:
    return [event for event in running.events if event["event"] == "status"][-1]
