"""What `hashing` compares us with, one act a process: the hash limit, and libraries that have no command.

    python -m scripts.bench.hashing_peer limit BYTES
    python -m scripts.bench.hashing_peer torf-create DATA TORRENT PIECE_LENGTH
    python -m scripts.bench.hashing_peer libtorrent-create DATA TORRENT PIECE_LENGTH v1|hybrid|v2
    python -m scripts.bench.hashing_peer torf-verify|libtorrent-verify DATA TORRENT

Only the limit tells its own seconds; the others are measured from outside, as whole processes.
"""

import json
import os
import sys
import threading
import time
from hashlib import sha1
from pathlib import Path
from typing import Any

__all__ = ["CORES"]

CORES = len(os.sched_getaffinity(0))
BUFFER = 256 << 10  # bytes that stay in a core's own cache
CHUNK = 1 << 20  # bytes hashed between two looks at what is left
PATIENCE = 300.0  # seconds


def limit(size: str) -> None:
    """SHA-1 by hashlib on all cores, of bytes that are in the cache already."""
    left = iter([CHUNK] * (int(size) // CHUNK))

    def work() -> None:
        buffer = bytes(BUFFER)
        for chunk in left:
            digest = sha1(usedforsecurity=False)
            for _ in range(chunk // BUFFER):
                digest.update(buffer)

    threads = [threading.Thread(target=work) for _ in range(CORES)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"event": "hashed", "seconds": time.perf_counter() - began}), flush=True)


def torf_create(data: str, torrent: str, piece_length: str) -> None:
    import torf

    made = torf.Torrent(path=data, piece_size=int(piece_length))
    made.generate(threads=CORES)
    made.write(torrent)


def torf_verify(data: str, torrent: str) -> None:
    import torf

    if not torf.Torrent.read(torrent).verify(data, threads=CORES):
        sys.exit("torf finds a difference")


def libtorrent_create(data: str, torrent: str, piece_length: str, generation: str) -> None:
    """`set_piece_hashes` of the binding takes no settings: what it does by itself is its best."""
    import libtorrent as lt

    files = lt.file_storage()
    lt.add_files(files, data)
    flags = {"v1": lt.create_torrent.v1_only, "hybrid": 0, "v2": lt.create_torrent.v2_only}
    made = lt.create_torrent(files, int(piece_length), flags[generation])
    lt.set_piece_hashes(made, str(Path(data).parent))
    Path(torrent).write_bytes(lt.bencode(made.generate()))


def libtorrent_verify(data: str, torrent: str) -> None:
    """The check of a torrent whose data is there, with all cores."""
    import libtorrent as lt

    session = lt.session({
        "listen_interfaces": "127.0.0.1:0", "enable_dht": False, "enable_lsd": False,
        "enable_upnp": False, "enable_natpmp": False,
        "alert_mask": lt.alert.category_t.status_notification,
        "hashing_threads": CORES, "aio_threads": CORES, "checking_mem_usage": 1024,
    })  # fmt: skip
    params = lt.load_torrent_file(torrent)
    params.save_path = str(Path(data).parent)
    params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    handle = session.add_torrent(params)
    _wait_for(session, lt.torrent_checked_alert)
    if not handle.status().is_seeding:
        sys.exit("libtorrent finds a difference")


def _wait_for(session: Any, kind: type) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        session.wait_for_alert(1000)
        if any(isinstance(alert, kind) for alert in session.pop_alerts()):
            return
    sys.exit("libtorrent does not finish")


if __name__ == "__main__":
    acts = {
        "limit": limit,
        "torf-create": torf_create,
        "torf-verify": torf_verify,
        "libtorrent-create": libtorrent_create,
        "libtorrent-verify": libtorrent_verify,
    }
    acts[sys.argv[1]](*sys.argv[2:])
