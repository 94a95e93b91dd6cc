"""libtorrent with many torrents, as a program: what `many` measures.

    python many_libtorrent.py TORRENTS DATA STATE IP

It seeds every torrent of the folder TORRENTS from DATA and keeps its resume data in STATE. It ends on SIGINT.
Events, as JSON lines: `listening` (port), `ready` when every torrent seeds.
"""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libtorrent as lt
from libtorrent_peer import SETTINGS, tell

ALERTS = 1 << 20  # that may wait: each torrent gives some at once
RESUME = lt.torrent_handle.save_info_dict  # then one file says all of a torrent


class Session:
    """Every torrent works from its beginning on: none waits for a place among the active ones."""

    def __init__(self, torrents: Path, data: Path, state: Path, host: str) -> None:
        self._state = state
        self._names = [path.stem for path in sorted(torrents.iterdir())]
        self._session = lt.session(
            {**SETTINGS, "listen_interfaces": f"{host}:0", "alert_queue_size": ALERTS}
        )
        self._stopping = False
        for name in self._names:
            self._session.async_add_torrent(self._params(torrents / f"{name}.torrent", data))

    def _params(self, torrent: Path, data: Path) -> Any:
        resume = self._resume(torrent.stem)
        if resume.exists():
            params = lt.read_resume_data(resume.read_bytes())
        else:
            params = lt.load_torrent_file(str(torrent))
        params.save_path = str(data)
        params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
        return params

    def _resume(self, name: str) -> Path:
        return self._state / f"{name}.resume"

    def stop(self, *_: object) -> None:
        self._stopping = True

    def run(self) -> None:
        seeds = 0
        while not self._stopping:
            for alert in self._alerts():
                match alert:
                    case lt.listen_succeeded_alert() if alert.socket_type == lt.socket_type_t.tcp:
                        tell("listening", port=alert.port)
                    case lt.state_changed_alert() if alert.state == lt.torrent_status.seeding:
                        seeds += 1
                        if seeds == len(self._names):
                            tell("ready")
                    case lt.torrent_error_alert() | lt.listen_failed_alert():
                        tell("error", text=alert.message())
                    case _:
                        pass

    def save(self) -> None:
        """What a later start believes."""
        self._state.mkdir(parents=True, exist_ok=True)
        owed = 0
        for handle in self._session.get_torrents():
            handle.save_resume_data(RESUME)
            owed += 1
        while owed:
            for alert in self._alerts():
                if isinstance(alert, lt.save_resume_data_alert):
                    data = lt.write_resume_data_buf(alert.params)
                    self._resume(alert.torrent_name).write_bytes(data)
                    owed -= 1

    def _alerts(self) -> Iterator[Any]:
        self._session.wait_for_alert(1000)
        yield from self._session.pop_alerts()


def main() -> None:
    torrents, data, state, host = sys.argv[1:]
    session = Session(Path(torrents), Path(data), Path(state), host)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, session.stop)
    session.run()
    session.save()


if __name__ == "__main__":
    main()
