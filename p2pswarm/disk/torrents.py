"""The torrents that magnets became, kept as `.torrent` files: the second start needs no peer to know them.

A file that is not there, or not whole, costs a search for the metadata and nothing else, so nothing here is
synced and no fault is raised. For disk threads.
"""

import logging
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from p2pswarm.errors import DiskError, FormatError
from p2pswarm.formats.ids import InfoHash
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.formats.names import Names

__all__ = ["TorrentFolder"]

log = logging.getLogger(__name__)


class TorrentFolder:
    """Named by info-hash, by both of a hybrid; and what another name's file holds is not believed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, names: Names) -> Metainfo | None:
        """The torrent, if it is kept here."""
        here = (self._read(self._file(name)) for name in names.swarms)
        return next((it for it in here if it is not None and names.met_by(Names.of(it))), None)

    def _read(self, path: Path) -> Metainfo | None:
        if not path.exists():
            return None
        try:
            return Metainfo.from_file(path)
        except (DiskError, FormatError) as error:
            log.warning("%s is of no use: %s", path, error)
            return None

    def all(self, most: int) -> Iterator[Metainfo]:
        """Some of them: those in `most` files, each under its main name."""
        for path in islice(self._path.glob("*.torrent"), most):
            metainfo = self._read(path)
            if metainfo is not None and path == self._file(metainfo.info_hash):
                yield metainfo

    def save(self, metainfo: Metainfo) -> None:
        """Another process may do the same."""
        for name in Names.of(metainfo).swarms:
            self._write(self._file(name), metainfo.raw)

    def save_again(self, metainfo: Metainfo) -> None:
        """If it is kept here, as it is known now."""
        if self._file(metainfo.info_hash).exists():
            self.save(metainfo)

    def _write(self, target: Path, raw: bytes) -> None:
        part = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            part.write_bytes(raw)
            part.replace(target)
        except OSError as error:
            log.warning("cannot keep %s: %s", target, error)
            part.unlink(missing_ok=True)

    def _file(self, info_hash: InfoHash) -> Path:
        return self._path / f"{info_hash}.torrent"
