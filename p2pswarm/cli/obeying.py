"""Settings of which a command obeys a part: who only calls somebody need not read of other networks.

What a command does not obey is as it says here, whatever the configuration file has for other commands. So
commands for people look for nobody's peers: no DHT, nothing said in the local network.
"""

from dataclasses import Field, fields
from typing import Annotated, Any

from p2pswarm.config import NetworkSettings, Settings

__all__ = ["Answering", "Giving", "Here", "Only", "Outgoing", "Visiting"]


class Only:
    """These fields of an options class are options; of the others some are given, the rest are as always."""

    def __init__(self, *names: str, **fixed: Any) -> None:
        self.names, self.fixed = names, fixed

    def of(self, table: Any) -> list[Field[Any]]:
        return [field for field in fields(table) if field.name in self.names]


_HERE, _DATA = ("port", "bind", "data_dir"), ("up_limit", "down_limit", "memory", "disk_threads")
_SUPER_NODES = ("connect", "supernodes", "login")
_SERVING = (
    "firewalled", "supernode_role", "children", "links", "rewire", "promote_after", "relay", "relay_rate",
    "relay_total",
)  # fmt: skip
_ALONE = {"dht": False, "lsd": False, "pex": False, "web_seeds": False}

Outgoing = Annotated[Settings, Only("bind", "data_dir")]
"""Who asks somebody something, and listens for nothing."""

Here = Annotated[Settings, Only(*_HERE, **_ALONE)]
"""A node for people."""

Giving = Annotated[Settings, Only(*_HERE, *_DATA, **_ALONE)]
"""A node for people who give each other files."""

Visiting = Annotated[NetworkSettings, Only(*_SUPER_NODES, supernode_role="ordinary")]
"""Who comes for a moment: others should not rely on it."""

Answering = Annotated[NetworkSettings, Only(*_SUPER_NODES, *_SERVING)]
"""Who stays, and may be a super node."""
