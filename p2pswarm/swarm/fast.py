"""BEP 6, "Allowed Fast Set Generation": which pieces a newcomer may fetch while choked."""

import hashlib
import ipaddress

from p2pswarm.formats.ids import InfoHash, PieceIndex

__all__ = ["allowed_fast_set"]


def allowed_fast_set(host: str, info_hash: InfoHash, pieces: int, size: int) -> list[PieceIndex]:
    """`size` different pieces (fewer when there are fewer) that follow from the peer's IPv4 network.

    The same network always gets the same ones, so nobody collects a file by reconnecting. There is no
    definition for IPv6: the result is empty.
    """
    ip = ipaddress.ip_address(host)
    if not isinstance(ip, ipaddress.IPv4Address):
        return []
    chosen: list[PieceIndex] = []
    state = ip.packed[:3] + b"\0" + info_hash
    while len(chosen) < min(size, pieces):
        state = hashlib.sha1(state, usedforsecurity=False).digest()
        for at in range(0, 20, 4):
            piece = PieceIndex(int.from_bytes(state[at : at + 4], "big") % pieces)
            if piece not in chosen and len(chosen) < size:
                chosen.append(piece)
    return chosen
