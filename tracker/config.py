"""The settings of a tracker: each field is a flag, an environment variable, a key of the configuration file.

`TrackerSettings` is what everything else is given; the metadata of its fields is what the command line shows.
"""

import math
import re
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from p2pswarm.net.binding import ANY
from p2pswarm.wire.tracker import DEFAULT_INTERVAL

__all__ = ["DEFAULT_PORT", "Network", "TrackerSettings"]

DEFAULT_PORT = 6969  # what everybody expects a tracker on

Network = IPv4Network | IPv6Network

_COUNTS = (
    "max_swarms",
    "max_peers",
    "max_per_address",
    "napster_max_clients",
    "napster_max_per_address",
    "napster_max_shares",
    "napster_max_files",
)


def _about(text: str, unit: str = "") -> dict[str, str]:
    return {"help": text, "unit": unit}


@dataclass(frozen=True)
class TrackerSettings:
    """Raises ValueError, one line for a person, when a value cannot be. Times are seconds."""

    host: str = field(
        default=ANY,
        metadata=_about("listen here; any is every address, IPv6 and IPv4", "HOST"),
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
    udp: bool = field(
        default=True, metadata=_about("answer by UDP, too, on the same port (BEP 15)")
    )
    upload_token_file: Path | None = field(
        default=None,
        metadata=_about("who knows the token in this file may add torrents to that folder", "FILE"),
    )
    login: Path | None = field(
        default=None,
        metadata=_about(
            "give people names and certificates at /login/, kept in this folder", "DIR"
        ),
    )

    napster: int | None = field(
        default=None,
        metadata=_about("run a Napster index server on this port, too; 0 for any", "N"),
    )
    napster_meta: int | None = field(
        default=None,
        metadata=_about("tell who asks on this port, as old programs do on 8875, where it is", "N"),
    )
    napster_index: str = field(
        default="memory",
        metadata=_about(
            "where it keeps shared files: memory, or sqlite:PATH for millions", "WHERE"
        ),
    )
    napster_accounts: Path | None = field(
        default=None,
        metadata=_about("keep accounts in this file: nicks belong to who came first", "PATH"),
    )
    napster_deny: Path | None = field(
        default=None, metadata=_about("hashes and words that may not be shared or found", "FILE")
    )
    napster_audit: Path | None = field(
        default=None,
        metadata=_about("log what the deny-list stopped; by default beside it", "FILE"),
    )
    napster_motd: Path | None = field(
        default=None, metadata=_about("greet members with the lines of this file", "FILE")
    )
    napster_max_clients: int = field(
        default=10_000, metadata=_about("have at most so many Napster connections", "N")
    )
    napster_max_per_address: int = field(
        default=64, metadata=_about("have at most so many of them from one address", "N")
    )
    napster_max_shares: int = field(
        default=5_000, metadata=_about("let one member share at most so many files", "N")
    )
    napster_max_files: int = field(
        default=2_000_000, metadata=_about("index at most so many files", "N")
    )
    napster_query_rate: float = field(
        default=5.0, metadata=_about("answer a member so many searches a second, on average", "N")
    )
    napster_idle: float = field(
        default=1800.0, metadata=_about("hang up on who says nothing for so long", "SECONDS")
    )

    def __post_init__(self) -> None:
        for port in (self.port, self.napster, self.napster_meta):
            if port is not None and not 0 <= port < 65536:
                raise ValueError(f"port {port} is not from 0 to 65535")
        if not 1 <= self.interval <= 86400:
            raise ValueError(f"an interval of {self.interval} s is not from 1 s to 86400 s")
        if self.torrents is not None and not self.torrents.is_dir():
            raise ValueError(f"{self.torrents} is not a folder")
        if self.upload_token_file is not None and self.torrents is None:
            raise ValueError("uploads need a folder for torrents")
        if not 0 < self.patience <= 3600:
            raise ValueError(f"a patience of {self.patience} s is not from 0 s to 3600 s")
        for name in ("napster_query_rate", "napster_idle"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be more than 0")
        for name in _COUNTS:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        assert self.napster_file is None or self.napster_file.name
        assert self.proxies is not None

    @cached_property
    def napster_file(self) -> Path | None:
        """Where `napster_index` keeps files; None is memory. Raises ValueError."""
        where, _, path = self.napster_index.partition(":")
        if where == "sqlite" and path:
            return Path(path)
        if self.napster_index != "memory":
            raise ValueError(f"{self.napster_index!r} is neither memory nor sqlite:PATH")
        return None

    @cached_property
    def proxies(self) -> tuple[Network, ...]:
        """The networks of `trusted_proxy`. Raises ValueError."""
        words = re.split(r"[,\s]+", self.trusted_proxy)
        return tuple(ip_network(word) for word in words if word)
