"""What tests of the tiger tree need: the library, and the tree told once more, naively."""

import os

import pytest

from p2pswarm.formats.tiger import available, tiger

__all__ = ["naive_root", "needs_tiger"]


def needs_tiger() -> pytest.MarkDecorator:
    """Without libgcrypt these tests are skipped; where CI says that everything is there, they fail."""
    missing = not available() and os.environ.get("CI") != "true"
    return pytest.mark.skipif(missing, reason="libgcrypt is not installed: no Tiger hash")


def naive_root(data: bytes) -> bytes:
    """THEX section 2, recursively: the left half of a tree is the largest full one."""
    if len(data) <= 1024:
        return tiger(b"\0" + data)
    half = 1024
    while half * 2 < len(data):
        half *= 2
    return tiger(b"\1" + naive_root(data[:half]) + naive_root(data[half:]))
