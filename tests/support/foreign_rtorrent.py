"""rTorrent for tests: an implementation of its own beside libtorrent, aria2 and Transmission.

It has no terminal here and is asked by XML-RPC, over a local socket. It refuses a torrent that names no
tracker, announces every ten minutes however often the tracker asks for, and binds to IPv4 only.
"""

import shutil
import socket
import xmlrpc.client
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from p2pswarm.formats.ids import Address
from tests.support.foreign import foreign_process, require, until
from tests.support.numbers import number_for

__all__ = ["rtorrent"]

_SETTINGS = """\
system.daemon.set = true
directory.default.set = "{folder}"
session.path.set = "{session}"
network.bind_address.set = {host}
network.local_address.set = {host}
network.port_range.set = {port}-{port}
network.scgi.open_local = "{socket}"
protocol.pex.set = no
dht.mode.set = disable
trackers.use_udp.set = yes
protocol.encryption.set = {encryption}
schedule2 = add, 0, 0, ((load.start_verbose, "{torrent}"))
"""


class _RTorrent:
    def __init__(self, home: Path, rpc: Path, address: str) -> None:
        self._home, self._rpc = home, rpc
        self.address = address

    def is_complete(self) -> bool:
        """A magnet link stands for a download of its own until its metadata are there."""
        facts = self.call("d.multicall2", "", "main", "d.complete=", "d.hashing=", "d.is_meta=")
        return any(complete and not hashing and not meta for complete, hashing, meta in facts)

    def answers(self) -> bool:
        try:
            self.call("system.pid")
        except OSError:
            return False
        return True

    def call(self, method: str, *arguments: str) -> Any:
        """One remote call: SCGI is a net string of headers, and the body behind it."""
        body = xmlrpc.client.dumps(arguments, method).encode()
        fields = ("CONTENT_LENGTH", str(len(body)), "SCGI", "1")
        head = "".join(f"{field}\0" for field in fields).encode()
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(10)
            line.connect(str(self._rpc))
            line.sendall(b"%d:%s,%s" % (len(head), head, body))
            with line.makefile("rb") as answer:
                text = answer.read().partition(b"\r\n\r\n")[2]
        (value,), _ = xmlrpc.client.loads(text)
        return value

    def said(self) -> str:
        return (self._home / "said").read_text("utf-8", "replace")[-3000:]


@contextmanager
def rtorrent(
    home: Path,
    torrent: Path | str,
    folder: Path,
    host: str,
    *,
    seed: bool = False,
    encryption: str = "allow_incoming,try_outgoing,enable_retry",
) -> Iterator[_RTorrent]:
    """It seeds when all data lies in `folder`. `encryption` is its own list of words."""
    require(shutil.which("rtorrent") is not None, "rtorrent")
    folder.mkdir(parents=True, exist_ok=True)
    session, settings, port = home / "session", home / "settings", number_for(host)
    session.mkdir(parents=True)
    with TemporaryDirectory() as short:  # the path of a socket has 107 bytes at most
        rpc = Path(short, "rpc")
        settings.write_text(
            _SETTINGS.format(
                folder=folder, session=session, host=host, port=port,
                socket=rpc, encryption=encryption, torrent=torrent,
            )
        )  # fmt: skip
        with foreign_process(home, "rtorrent", "-n", "-o", f"import={settings}"):
            running = _RTorrent(home, rpc, str(Address(host, port)))
            until(running.answers, "rTorrent answers")
            if seed:
                until(running.is_complete, "rTorrent has checked the data")
            yield running
