"""What a query hit says, as hits of the common door.

The one hard thing: whoever answers says what it likes. Where it says it is counts only when that is not
nearer to us than whoever brought the hit; otherwise a push has to find it.
"""

from collections.abc import Iterator

from p2pswarm.formats.ids import InfoHash
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.overlay.query import Hit
from p2pswarm.wire.gnutella.hit import QueryHit
from p2pswarm.wire.gnutella.results import Result

__all__ = ["NAME", "hits_of"]

NAME = "gnutella"


def hits_of(hit: QueryHit, teller: Zone) -> Iterator[Hit]:
    """Its results, as somebody there brought them."""
    return (_hit(hit, result, teller) for result in hit.results)


def _hit(hit: QueryHit, result: Result, teller: Zone) -> Hit:
    somewhere = hit.address.dialable and zone_of(hit.address.host) <= teller
    dialable = somewhere and not hit.push
    info_hash = InfoHash(result.info_hash) if result.info_hash else None
    return Hit(
        name=_name(result),
        size=result.size,
        network=NAME,
        host=hit.address if somewhere else None,
        nick=hit.servent.hex(),
        index=result.index,
        firewalled=not dialable,
        proxies=tuple(proxy for proxy in hit.proxies if zone_of(proxy.host) <= teller),
        sha1=result.sha1,
        tth=result.tth,
        info_hash=info_hash,
        peer=hit.address if info_hash and dialable else None,
    )


def _name(result: Result) -> str:
    """With its folder, which gtk-gnutella says beside it (PATH)."""
    folder = result.ggep.get("PATH", b"").decode("utf-8", "replace").strip("/\\")
    return f"{folder}/{result.name}" if folder else result.name
