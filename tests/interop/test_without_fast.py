"""The old protocol, without the fast extension (BEP 6): no HaveAll, no Reject, a choke drops requests.

No client lets us turn it off, so somebody in the middle takes the bit out of both handshakes. Each side
then believes that the other one does not know it.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest
from typing_extensions import override

from p2pswarm.wire.peer import HANDSHAKE
from tests.interop.lab import ODD_FILES, Lab, StartClient
from tests.support.foreign import aria2, libtorrent, until

pytestmark = pytest.mark.interop

FAST_BYTE, FAST_BIT = 27, 0x04  # of a handshake


def without_fast(start: bytes) -> bytes:
    if not start.startswith(HANDSHAKE):
        return start  # an attempt at encryption: not for us to understand
    changed = bytearray(start)
    changed[FAST_BYTE] &= ~FAST_BIT
    return bytes(changed)


def pump(source: socket.socket, sink: socket.socket) -> None:
    """Everything from one side to the other, until the first closes."""
    with suppress(OSError):
        start = source.recv(FAST_BYTE + 1, socket.MSG_WAITALL)
        sink.sendall(without_fast(start))
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def in_the_middle(host: str, target: str) -> Iterator[str]:
    """Where to dial instead of `target`."""
    target_host, _, target_port = target.rpartition(":")

    class Handler(BaseRequestHandler):
        @override
        def handle(self) -> None:
            with socket.create_connection((target_host, int(target_port)), 10) as other:
                other.settimeout(None)
                back = threading.Thread(target=pump, args=(other, self.request))
                back.start()
                pump(self.request, other)
                back.join()

    with ThreadingTCPServer((host, 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"{host}:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_libtorrent_takes_from_our_seed(lab: Lab) -> None:
    lab.share(ODD_FILES, tracked=False)
    with lab.seed() as seed:
        port = seed.wait_for("listening")["port"]
        with (
            in_the_middle("127.0.0.9", f"127.0.0.2:{port}") as middle,
            lab.foreign_get(libtorrent, peers=[middle]) as peer,
        ):
            until(peer.is_complete, "the download")
    assert lab.fetched("libtorrent") == ODD_FILES


@pytest.mark.parametrize("client", [libtorrent, aria2])
def test_our_get_takes_from_a_client(client: StartClient, lab: Lab) -> None:
    lab.share(ODD_FILES, tracked=False)
    with (
        client(lab.home / "seed", lab.torrent, lab.source, "127.0.0.8", seed=True) as seed,
        in_the_middle("127.0.0.9", seed.address) as middle,
        lab.get("--peer", middle) as get,
    ):
        assert get.wait() == 0, get.stderr
    assert lab.fetched("get") == ODD_FILES
