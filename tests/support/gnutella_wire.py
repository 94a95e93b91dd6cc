"""What Gnutella's messages are made of, at random."""

import zlib

from hypothesis import strategies as st

from p2pswarm.formats.ids import Address
from p2pswarm.wire.gnutella.ggep import Ggep, write_ggep

__all__ = ["addresses", "deflated", "ggeps", "guids", "names", "texts"]

guids: st.SearchStrategy[bytes] = st.binary(min_size=16, max_size=16)
addresses: st.SearchStrategy[Address] = st.builds(
    Address, st.ip_addresses(v=4).map(str), st.integers(0, 65535)
)
texts: st.SearchStrategy[str] = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00"), max_size=40
)
names: st.SearchStrategy[str] = st.text(
    st.characters(min_codepoint=1, max_codepoint=255), min_size=1, max_size=15
)
ggeps: st.SearchStrategy[Ggep] = st.dictionaries(names, st.binary(max_size=300), max_size=5)


def deflated(value: bytes, wbits: int = zlib.MAX_WBITS) -> bytes:
    """A GGEP block with one extension `X` that was deflated, without any NUL."""
    squeezer = zlib.compressobj(wbits=wbits)
    block = bytearray(write_ggep({"X": squeezer.compress(value) + squeezer.flush()}, no_nul=True))
    block[1] |= 0x20
    return bytes(block)
