"""A download stayed locked when `add` was cancelled while a thread looked at its files, or that broke."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from typing_extensions import override

from p2pswarm.config import Settings
from p2pswarm.errors import TargetExistsError
from p2pswarm.node import Node
from p2pswarm.swarm.data import TorrentData
from tests.support.patience import PATIENCE
from tests.support.quiet import quiet
from tests.test_node import made

pytestmark = pytest.mark.usefixtures("no_complaints")


@pytest.fixture
async def no_complaints() -> Any:
    """Whatever reaches the loop's exception handler fails the test."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, said: complaints.append(said))
    yield
    assert not complaints


class Gate:
    """A thread waits here."""

    def __init__(self) -> None:
        self.reached, self.open = Event(), Event()

    def wait(self) -> None:
        self.reached.set()
        assert self.open.wait(PATIENCE)


class Slow(TorrentData):
    def __init__(self, *args: Any, gate: Gate, **more: Any) -> None:
        super().__init__(*args, **more)
        self._gate = gate

    @override
    def recall(self) -> None:
        super().recall()
        self._gate.wait()


class Broken(TorrentData):
    @override
    def recall(self) -> None:
        super().recall()
        raise RuntimeError("a bug")


def never_made(*_args: Any, **_more: Any) -> TorrentData:
    raise RuntimeError("a bug")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return quiet(bind="127.0.0.1", port=0, data_dir=tmp_path / "state")


async def cancelled(adding: "asyncio.Task[Any]", gate: Gate) -> None:
    """It is, once a thread is at the gate."""
    async with asyncio.timeout(PATIENCE):
        while not gate.reached.is_set():
            await asyncio.sleep(0)
    adding.cancel()
    await asyncio.wait([adding])
    assert adding.cancelled()


async def jobs_over(node: Node) -> None:
    assert node._machinery is not None
    async with asyncio.timeout(PATIENCE):
        await node._machinery.disk._workers._idle.wait()
        await asyncio.sleep(0)


async def test_who_is_cancelled_meanwhile_leaves_no_lock(
    tmp_path: Path, settings: Settings
) -> None:
    meta, gate = made(tmp_path / "a"), Gate()
    async with Node(settings) as node:
        add = partial(node.add, save_to=tmp_path / "b")
        adding = asyncio.create_task(add(meta, kind=partial(Slow, gate=gate)))
        await cancelled(adding, gate)
        gate.open.set()
        await jobs_over(node)
        await add(meta)


async def test_who_is_cancelled_when_the_answer_is_there_leaves_no_lock(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the one round of the loop between the job's end and who waits for it."""
    meta = made(tmp_path / "a")
    async with Node(settings) as node:
        assert node._machinery is not None
        disk, add = node._machinery.disk, partial(node.add, save_to=tmp_path / "b")
        begin = disk.begin

        def watched(job: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":
            future = begin(job, *args)
            future.add_done_callback(lambda _: adding.cancel())
            return future

        with monkeypatch.context() as patch:
            patch.setattr(disk, "begin", watched)
            adding = asyncio.create_task(add(meta))
            await asyncio.wait([adding], timeout=PATIENCE)
        assert adding.cancelled()
        await asyncio.sleep(0)
        await add(meta)


async def test_who_is_cancelled_before_it_fails_hears_nothing(
    tmp_path: Path, settings: Settings
) -> None:
    meta, gate = made(tmp_path / "a"), Gate()

    def fail(*_args: Any, **_more: Any) -> TorrentData:
        gate.wait()
        raise TargetExistsError("no")

    async with Node(settings) as node:
        add = partial(node.add, save_to=tmp_path / "b")
        await cancelled(asyncio.create_task(add(meta, kind=fail)), gate)
        gate.open.set()
        await jobs_over(node)
        await add(meta)


@pytest.mark.parametrize("kind", [Broken, never_made])
async def test_a_bug_leaves_no_lock(
    tmp_path: Path, settings: Settings, kind: Callable[..., TorrentData]
) -> None:
    meta = made(tmp_path / "a")
    async with Node(settings) as node:
        with pytest.raises(RuntimeError):
            await node.add(meta, save_to=tmp_path / "b", kind=kind)
        await node.add(meta, save_to=tmp_path / "b")
