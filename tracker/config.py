"""The settings of a tracker: each field is a flag, an environment variable, a key of the configuration file.

`TrackerSettings` is what everything else is given; the metadata of its fields is what the command line shows.
"""

import re
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from p2pswarm.wire.tracker import DEFAULT_INTERVAL

__all__ = ["DEFAULT_PORT", "Network", "TrackerSettings"]

DEFAULT_PORT = 6969  # what everybody expects a tracker on

Network = IPv4Network | IPv6Network


def _about(text: str, unit: str = "") -> dict[str, str]:
    return {"help": text, "unit": unit}


@dataclass(frozen=True)
class TrackerSettings:
    """Raises ValueError, one line for a person, when a value cannot be. Times are seconds."""

    host: str = field(
        default="0.0.0.0",  # noqa: S104 - a tracker is there for everybody
        metadata=_about("listen here; :: is every address, IPv6 and IPv4", "HOST"),
    )
    port: int | None = field(
        default=None,
        metadata=_about(
            f"listen here, 0 for any; by default {DEFAULT_PORT} or the next free one", "N"
        ),
    )
    interval: int = field(
        default=DEFAULT_INTERVAL,
        metadata=_about("time between two announces of a client", "SECONDS"),
    )
    torrents: Path | None = field(
        default=None, metadata=_about("host the torrents of this folder at /t/", "DIR")
    )
    allow_ip: bool = field(
        default=False, metadata=_about("believe the addresses that clients claim (ip=)")
    )
    trusted_proxy: str = field(
        default="",
        metadata=_about("networks whose X-Forwarded-For is believed, commas between", "CIDR"),
    )
    max_swarms: int = field(
        default=1_000_000, metadata=_about("remember at most so many info-hashes", "N")
    )
    max_peers: int = field(
        default=10_000, metadata=_about("remember at most so many peers of a swarm", "N")
    )
    max_per_address: int = field(
        default=20_000,
        metadata=_about("remember at most so many peers of a public address", "N"),
    )
    patience: float = field(
        default=15.0,
        metadata=_about("time a connection may take for its next request", "SECONDS"),
    )

    def __post_init__(self) -> None:
        if self.port is not None and not 0 <= self.port < 65536:
            raise ValueError(f"port {self.port} is not from 0 to 65535")
        if not 1 <= self.interval <= 86400:
            raise ValueError(f"an interval of {self.interval} s is not from 1 s to 86400 s")
        if self.torrents is not None and not self.torrents.is_dir():
            raise ValueError(f"{self.torrents} is not a folder")
        if not 0 < self.patience <= 3600:
            raise ValueError(f"a patience of {self.patience} s is not from 0 s to 3600 s")
        for name in ("max_swarms", "max_peers", "max_per_address"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        assert self.proxies is not None

    @cached_property
    def proxies(self) -> tuple[Network, ...]:
        """The networks of `trusted_proxy`. Raises ValueError."""
        words = re.split(r"[,\s]+", self.trusted_proxy)
        return tuple(ip_network(word) for word in words if word)
