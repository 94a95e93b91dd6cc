"""The host cache as a file: written whole or not at all, and never a reason to stop.

Several programs of one user share it; whoever writes last is remembered.
"""

import asyncio
import logging
import os
import time
from pathlib import Path

from p2pswarm.disk.handles import disk_error, read_kept
from p2pswarm.disk.pool import DiskPool
from p2pswarm.errors import DiskError
from p2pswarm.overlay.hosts.host import MOST_BYTES
from p2pswarm.overlay.hosts.hosts import Hosts

__all__ = ["HostFile"]

log = logging.getLogger(__name__)

TIME_AT_END = 0.5  # seconds; a node has three to end


class HostFile:
    """`load` once, `save` now and then, `save_at_end` at the end."""

    def __init__(self, path: Path, hosts: Hosts, disk: DiskPool) -> None:
        self._path, self._hosts, self._disk = path, hosts, disk

    async def load(self) -> None:
        try:
            data = await self._disk.run(_read, self._path)
        except DiskError as error:
            log.warning("%s: no hosts are known from before: %s", self._hosts.network, error)
            return
        if data:
            self._hosts.load(data)

    async def save(self, *, at_once: bool = False) -> None:
        """If there is news, once a minute."""
        now = time.time()
        if not self._hosts.wants_saving(now) and not at_once:
            return
        try:
            await self._disk.run(_write, self._path, self._hosts.dump(now))
        except DiskError as error:
            log.warning("%s: hosts are not remembered: %s", self._hosts.network, error)

    async def save_at_end(self) -> None:
        """News or not; there is no time for a disk that hangs."""
        try:
            async with asyncio.timeout(TIME_AT_END):
                await self.save(at_once=True)
        except TimeoutError:
            log.warning("%s: hosts are not remembered: the disk hangs", self._hosts.network)


def _read(path: Path) -> bytes:
    """Empty where there is none. Raises DiskError."""
    try:
        return read_kept(path, MOST_BYTES + 1)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise disk_error("read", path, error) from error


def _write(path: Path, data: bytes) -> None:
    """Raises DiskError."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_bytes(data)
        new.replace(path)
    except OSError as error:
        raise disk_error("write", path, error) from error
