"""The programs in examples/ do what they say, as processes on real sockets."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
CONTENT = bytes(range(256)) * 4000

pytestmark = pytest.mark.timeout(60)


@asynccontextmanager
async def running(
    tmp_path: Path, name: str, *args: object
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLES / name),
        *map(str, args),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "XDG_DATA_HOME": str(tmp_path / "data")},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "original" / "file.bin"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    return path


def test_every_example_is_run_here_and_short() -> None:
    names = {path.name for path in EXAMPLES.glob("*.py")}
    assert names == {"download.py", "two_nodes.py", "tracker_and_seed.py"}
    assert all(len(path.read_text().splitlines()) < 60 for path in EXAMPLES.glob("*.py"))


async def test_two_nodes(tmp_path: Path, file: Path) -> None:
    async with running(tmp_path, "two_nodes.py", file, tmp_path / "copy") as process:
        out, _ = await process.communicate()
    assert process.returncode == 0
    assert f"{len(CONTENT)} bytes, verified" in out.decode()
    assert (tmp_path / "copy" / "file.bin").read_bytes() == CONTENT


async def test_tracker_and_seed_and_download(tmp_path: Path, file: Path) -> None:
    async with running(tmp_path, "tracker_and_seed.py", file) as seed:
        assert seed.stdout is not None
        url = (await seed.stdout.readline()).decode().strip()
        async with running(tmp_path, "download.py", url, tmp_path / "copy") as process:
            out, _ = await process.communicate()
        assert process.returncode == 0
    assert "pieces verified" in out.decode()
    assert "p2pswarm 0.1.0.0 at 127.0.0.1" in out.decode()
    assert (tmp_path / "copy" / "file.bin").read_bytes() == CONTENT
