"""A file or folder becomes the torrent under which it is given to somebody.

A private one, of both generations, that names no tracker: nobody is asked for peers, nobody is told. It is
the same for the same files, the same people and the same key, so that a download goes on next time; and
nobody else can guess its name, because a secret of the key is in it.
"""

import hmac
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from p2pswarm.disk.create import create
from p2pswarm.formats.building import Generation

if TYPE_CHECKING:
    from p2pswarm.formats.metainfo import Metainfo
    from p2pswarm.formats.signing import SigningKey

__all__ = ["packed", "secret_for"]


def secret_for(key: "SigningKey", names: Iterable[str]) -> str:
    """What we and these people share, in hexadecimal digits."""
    text = "p2pswarm send\n" + "\n".join(sorted(names))
    return hmac.digest(key.seed, text.encode(), "sha256")[:16].hex()


def packed(path: Path, secret: str, progress: Callable[[int, int], None]) -> "Metainfo":
    """Reads all of it. What `progress` raises ends it. Raises HostError."""
    return create(
        path, generation=Generation.HYBRID, private=True, source=secret, progress=progress
    )
