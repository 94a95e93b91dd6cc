"""p2pswarm: a peer-to-peer node for asyncio programs.

```python
async with Node() as node:
    torrent = await node.add("debian.torrent", save_to=Path("downloads"))
    async for event in torrent.events():
        print(event)
```

The public names are loaded when they are first used, so that `p2pswarm --help` and the tracker do not
import the whole node.
"""

from importlib import import_module

TYPE_CHECKING = False  # type checkers know the name; loading `typing` would be most of this import
if TYPE_CHECKING:
    from p2pswarm.config import NetworkSettings, Settings
    from p2pswarm.errors import (
        BencodeError,
        BusyError,
        DiskError,
        DiskFullError,
        FormatError,
        HashMismatchError,
        HostError,
        InUseError,
        MetainfoError,
        NetworkError,
        P2PSwarmError,
        PortTakenError,
        RemoteError,
        TargetExistsError,
        TrackerError,
    )
    from p2pswarm.formats.ids import Address, InfoHash
    from p2pswarm.formats.magnet import Magnet
    from p2pswarm.formats.metainfo import Metainfo
    from p2pswarm.node import Node
    from p2pswarm.overlay.query import Hit, Lookup, Query
    from p2pswarm.overlay.search import Find
    from p2pswarm.swarm.selection import Selection
    from p2pswarm.swarm.torrent import Torrent

__all__ = [
    "Address",
    "BencodeError",
    "BusyError",
    "DiskError",
    "DiskFullError",
    "Find",
    "FormatError",
    "HashMismatchError",
    "Hit",
    "HostError",
    "InUseError",
    "InfoHash",
    "Lookup",
    "Magnet",
    "Metainfo",
    "MetainfoError",
    "NetworkError",
    "NetworkSettings",
    "Node",
    "P2PSwarmError",
    "PortTakenError",
    "Query",
    "RemoteError",
    "Selection",
    "Settings",
    "TargetExistsError",
    "Torrent",
    "TrackerError",
]

__version__ = "0.1.0"

_ROOMS = {
    "Address": "p2pswarm.formats.ids",
    "Find": "p2pswarm.overlay.search",
    "Hit": "p2pswarm.overlay.query",
    "InfoHash": "p2pswarm.formats.ids",
    "Lookup": "p2pswarm.overlay.query",
    "Magnet": "p2pswarm.formats.magnet",
    "Metainfo": "p2pswarm.formats.metainfo",
    "NetworkSettings": "p2pswarm.config",
    "Node": "p2pswarm.node",
    "Query": "p2pswarm.overlay.query",
    "Selection": "p2pswarm.swarm.selection",
    "Settings": "p2pswarm.config",
    "Torrent": "p2pswarm.swarm.torrent",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ROOMS.get(name, "p2pswarm.errors")), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
