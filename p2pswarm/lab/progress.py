"""How an experiment tells how far it is."""

from collections.abc import Callable

__all__ = ["Progress", "quietly"]

Progress = Callable[[str], None]
"""Is told in a few words, as often as one likes."""


def quietly(_: str) -> None:
    """For nobody."""
