"""Network namespaces: made, entered, and gone when nobody holds them any more.

A namespace has no name and no process of its own: an open file holds it, so a killed test leaves none behind.
A thread goes in and out, and what it makes meanwhile stays inside for good: a socket, or a whole program.
"""

import ctypes
import os
import socket
import struct
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path

__all__ = ["Namespace", "command"]

_NEWNET = 0x40000000  # CLONE_NEWNET of <linux/sched.h>; Python has these two calls from 3.12 on
_SIOCGIFFLAGS, _IFF_RUNNING = 0x8913, 0x40  # <linux/sockios.h>, <linux/if.h>
_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: int) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _current() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def command(words: Sequence[str], *, given: str = "") -> str:
    """Run a tool; what it printed."""
    done = subprocess.run(words, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}\n{given}{done.stdout}{done.stderr}"
    return done.stdout


class Namespace:
    """Interfaces, routes, rules and ports of its own."""

    def __init__(self) -> None:
        before = _current()
        try:
            _call("unshare", _NEWNET)
            self._held = _current()
            _call("setns", before, _NEWNET)
        finally:
            os.close(before)
        self.ip("link set lo up")

    @property
    def path(self) -> str:
        """What `ip link set … netns` and `nsenter --net` know it by, while this process lives."""
        return f"/proc/{os.getpid()}/fd/{self._held}"

    @contextmanager
    def inside(self) -> Iterator[None]:
        """The calling thread is inside."""
        before = _current()
        try:
            _call("setns", self._held, _NEWNET)
            try:
                yield
            finally:
                _call("setns", before, _NEWNET)
        finally:
            os.close(before)

    def ip(self, *lines: str) -> None:
        """Each line as `ip` would take it."""
        with self.inside():
            command(["ip", "-batch", "-"], given="\n".join(lines) + "\n")

    def carries(self, device: str) -> bool:
        """Until then whatever is sent there is dropped: the kernel may take a second (linkwatch)."""
        with self.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            name = struct.pack("16sH22x", device.encode(), 0)
            (flags,) = struct.unpack_from("H", ioctl(any_socket, _SIOCGIFFLAGS, name), 16)
            return bool(flags & _IFF_RUNNING)

    def rules(self, *lines: str) -> None:
        """The whole firewall, as `iptables-save` would print it; counters begin at zero."""
        with self.inside():
            command(["iptables-restore"], given="\n".join(lines) + "\n")

    def iptables(self, *words: str) -> str:
        with self.inside():
            return command(["iptables", *words])

    def forwards(self) -> None:
        """Be a router."""
        with self.inside():
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1")

    def close(self) -> None:
        if self._held >= 0:
            os.close(self._held)
            self._held = -1
