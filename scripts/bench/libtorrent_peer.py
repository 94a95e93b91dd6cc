"""libtorrent as a program: seeds or downloads one torrent and tells how it goes as JSON lines.

    python libtorrent_peer.py TORRENT FOLDER --listen IP:PORT [--seed] [--peer IP:PORT] [--set NAME=VALUE]

TORRENT is a file or a magnet link. FOLDER holds the torrent's root, or will. `--seed` trusts the data that
lies there. It ends on SIGTERM or SIGINT, and with `--once` when the download is complete. Events: `listening`
(port), `status` twice a second, `complete` (seconds since the torrent was added), `error` (text), and where
the `alert_mask` says so, `hashes` (of version 2: the message, and whether it is ours).
"""

import argparse
import json
import signal
import time
from collections.abc import Iterator
from typing import Any

import libtorrent as lt

# Nothing but trackers and named peers, on TCP: what the tests and the comparison are about.
SETTINGS: dict[str, Any] = {
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_incoming_utp": False,
    "enable_outgoing_utp": False,
    "allow_multiple_connections_per_ip": True,
    "min_announce_interval": 3,
    "stop_tracker_timeout": 1,
    "alert_mask": int(lt.alert.category_t.error_notification)
    | int(lt.alert.category_t.status_notification),
}


def address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


def setting(text: str) -> tuple[str, Any]:
    """NAME=VALUE; the value is JSON."""
    name, _, value = text.partition("=")
    return name, json.loads(value)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="libtorrent as a program")
    parser.add_argument("torrent")
    parser.add_argument("folder")
    parser.add_argument("--listen", required=True, metavar="IP:PORT")
    parser.add_argument("--seed", action="store_true")
    parser.add_argument("--once", action="store_true")
    parser.add_argument("--peer", action="append", default=[], type=address, metavar="IP:PORT")
    parser.add_argument("--set", action="append", default=[], type=setting, metavar="NAME=VALUE")
    return parser.parse_args()


def tell(event: str, **fields: Any) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


def limit_local_peers(session: Any) -> None:
    """libtorrent's rate limits hold for its global peer class, and local addresses are not in it."""
    everybody = lt.ip_filter()
    every = ("0.0.0.0", "255.255.255.255")  # noqa: S104 - nothing is bound
    everybody.add_rule(*every, 1 << lt.session.global_peer_class_id)
    session.set_peer_class_filter(everybody)


class Peer:
    """One session with one torrent."""

    def __init__(self, wanted: argparse.Namespace) -> None:
        settings = {**SETTINGS, "listen_interfaces": wanted.listen, **dict(wanted.set)}
        self._session = lt.session(settings)
        limit_local_peers(self._session)
        self._stopping = False
        self.complete = wanted.seed
        is_link = wanted.torrent.startswith("magnet:")
        read = lt.parse_magnet_uri if is_link else lt.load_torrent_file
        params = read(wanted.torrent)
        params.save_path = wanted.folder
        if wanted.seed:
            params.flags |= lt.torrent_flags.seed_mode
        params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
        self._began = time.monotonic()
        self._torrent = self._session.add_torrent(params)
        for peer in wanted.peer:
            self._torrent.connect_peer(peer)

    def stop(self, *_: object) -> None:
        self._stopping = True

    def run(self, *, once: bool) -> None:
        told = 0.0
        while not self._stopping and not (once and self.complete):
            self._session.wait_for_alert(100)
            for alert in self._session.pop_alerts():
                self._hear(alert)
            if time.monotonic() - told >= 0.5:
                told = time.monotonic()
                self._tell_status()
        self._tell_status()

    def _hear(self, alert: Any) -> None:
        match alert:
            case lt.listen_succeeded_alert() if alert.socket_type == lt.socket_type_t.tcp:
                tell("listening", port=alert.port)
            case lt.torrent_finished_alert() if not self.complete:
                self.complete = True
                tell("complete", seconds=round(time.monotonic() - self._began, 3))
            case lt.torrent_error_alert() | lt.listen_failed_alert() | lt.file_error_alert():
                tell("error", text=alert.message())
            case lt.peer_log_alert() if "HASH" in alert.message():
                tell("hashes", text=alert.message())
            case _:
                pass

    def _tell_status(self) -> None:
        status = self._torrent.status()
        tell(
            "status",
            state=str(status.state),
            done=status.total_wanted_done,
            uploaded=status.total_payload_upload,
            downloaded=status.total_payload_download,
            peers=list(self._peers()),
        )

    def _peers(self) -> Iterator[dict[str, Any]]:
        for peer in self._torrent.get_peer_info():
            yield {
                "address": f"{peer.ip[0]}:{peer.ip[1]}",
                "encrypted": bool(peer.flags & peer.rc4_encrypted),
                "holepunched": bool(peer.flags & peer.holepunched),
                "upload_only": bool(peer.flags & peer.upload_only),
                "pieces": peer.num_pieces,
            }


def main() -> None:
    wanted = arguments()
    peer = Peer(wanted)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, peer.stop)
    peer.run(once=wanted.once)


if __name__ == "__main__":
    main()
