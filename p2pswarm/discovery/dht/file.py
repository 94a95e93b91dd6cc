"""The saved table as a file: `dht.dat` in the data folder, written whole or not at all.

Several programs of one user share it; whoever writes last is remembered. Both functions wait for the disk.
"""

import logging
import os
from pathlib import Path

from p2pswarm.discovery.dht.saved import SavedTable
from p2pswarm.disk.handles import disk_error, read_kept
from p2pswarm.errors import FormatError

__all__ = ["read_table", "write_table"]

log = logging.getLogger(__name__)

NAME = "dht.dat"
_LONGEST = 1 << 17  # bytes that are read; 300 nodes of each network have 20 000


def read_table(folder: Path) -> SavedTable:
    """An empty one where there is none that can be read; never a reason to stop."""
    path = folder / NAME
    try:
        return SavedTable.decode(read_kept(path, _LONGEST))
    except FileNotFoundError:
        pass
    except (OSError, FormatError) as error:
        log.warning("no nodes of the DHT are known from before: %s: %s", path, error)
    return SavedTable()


def write_table(folder: Path, table: SavedTable) -> None:
    """Nothing where no node is known. Raises DiskError."""
    if not any(table.nodes.values()):
        return
    path = folder / NAME
    new = path.with_name(f"{NAME}.{os.getpid()}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        new.write_bytes(table.encode())
        new.replace(path)
    except OSError as error:
        raise disk_error("write", path, error) from error
