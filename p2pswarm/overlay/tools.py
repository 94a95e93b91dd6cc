"""What a node lends to its search networks."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

from p2pswarm.disk.pool import DiskPool
from p2pswarm.formats.ids import InfoHash
from p2pswarm.net.port import Port
from p2pswarm.net.rate import Limiter

__all__ = ["Seed", "Tools"]

Seed = Callable[[InfoHash, str], Awaitable[None]]
"""Raises BusyError when that is too much at the moment for this asker or for all, DiskError, HostError."""


@dataclass(frozen=True)
class Tools:
    """`seed` makes the node serve the torrent of one of our files, for who asked.

    `slots` is how many files are given at a time.
    """

    port: Port
    disk: DiskPool
    up: Limiter
    dice: Random
    seed: Seed
    slots: int
