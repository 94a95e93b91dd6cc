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
    from p2pswarm.config import Settings
    from p2pswarm.errors import (
        BencodeError,
        DiskError,
        DiskFullError,
        FormatError,
        HostError,
        InUseError,
        MetainfoError,
        P2PSwarmError,
        PortTakenError,
        RemoteError,
        TargetExistsError,
        TrackerError,
    )
    from p2pswarm.formats.ids import Address, InfoHash
    from p2pswarm.formats.metainfo import Metainfo
    from p2pswarm.node import Node
    from p2pswarm.swarm.torrent import Torrent

__all__ = [
    "Address",
    "BencodeError",
    "DiskError",
    "DiskFullError",
    "FormatError",
    "HostError",
    "InUseError",
    "InfoHash",
    "Metainfo",
    "MetainfoError",
    "Node",
    "P2PSwarmError",
    "PortTakenError",
    "RemoteError",
    "Settings",
    "TargetExistsError",
    "Torrent",
    "TrackerError",
]

__version__ = "0.1.0"

_ROOMS = {
    "Address": "p2pswarm.formats.ids",
    "InfoHash": "p2pswarm.formats.ids",
    "Metainfo": "p2pswarm.formats.metainfo",
    "Node": "p2pswarm.node",
    "Settings": "p2pswarm.config",
    "Torrent": "p2pswarm.swarm.torrent",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ROOMS.get(name, "p2pswarm.errors")), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
