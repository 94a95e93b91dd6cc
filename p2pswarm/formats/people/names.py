"""What people are called: one spelling for a name, and where in the directory it belongs."""

import re
from hashlib import sha256

from p2pswarm.errors import FormatError

__all__ = ["HASH_SIZE", "LONGEST", "name_hash", "parse_name"]

LONGEST = 32  # characters
HASH_SIZE = 32  # bytes

# Signs that are told apart on every screen, and no letter that looks like another alphabet's.
_NAME = re.compile(r"[a-z][a-z0-9._-]{2,31}")


def parse_name(text: str) -> str:
    """The name in its one spelling. Raises FormatError."""
    name = text.strip()
    if name.isascii() and _NAME.fullmatch(name.lower()):
        return name.lower()
    raise FormatError(
        f"{text[: LONGEST + 1]!r} is not a name: 3 to {LONGEST} of a-z 0-9 . _ -, a letter first"
    )


def name_hash(name: str) -> bytes:
    """Where in the directory the name belongs. Raises FormatError."""
    return sha256(b"p2pswarm name " + parse_name(name).encode()).digest()
