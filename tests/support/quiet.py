"""Settings for nodes that talk only to whom a test names: no table of the world, no calls into the local
network."""

from typing import Any

from p2pswarm.config import Settings

__all__ = ["quiet"]


def quiet(**chosen: Any) -> Settings:
    """`Settings` that find nobody by themselves, unless a test chooses so."""
    return Settings(**{"dht": False, "lsd": False, **chosen})
