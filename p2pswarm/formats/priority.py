"""BEP 40: which connections of a swarm matter most, so that both ends, and all peers, judge alike.

When places are scarce everybody keeps those of highest priority. Nobody can choose an address that is
preferred by all, and a newcomer has the same chance as those who came first.
"""

from google_crc32c import value as crc32c

from p2pswarm.formats.ids import Address

__all__ = ["priority"]

_WHOLE = {
    4: 2,
    16: 6,
}  # bytes of an address that count whole in any case; of the others every second bit


def priority(one: Address, other: Address) -> int:
    """The same whoever asks, one or the other; 0 for addresses of two families, and for names."""
    here, there = one.ip, other.ip
    if here is None or there is None or here.version != there.version:
        return 0
    if here == there:
        both = sorted(port.to_bytes(2, "big") for port in (one.port, other.port))
    else:
        whole = _whole(here.packed, there.packed)
        both = sorted(_masked(ip.packed, whole) for ip in (here, there))
    number: int = crc32c(b"".join(both))
    return number


def _whole(here: bytes, there: bytes) -> int:
    """How many bytes count whole: one more than both have in common, and not less than two or six."""
    common = next(n for n, pair in enumerate(zip(here, there, strict=True)) if pair[0] != pair[1])
    least = _WHOLE[len(here)]
    return max(least, common + 1)


def _masked(ip: bytes, whole: int) -> bytes:
    return ip[:whole] + bytes(byte & 0x55 for byte in ip[whole:])
