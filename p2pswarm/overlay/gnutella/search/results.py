"""What a query hit says, as hits of the common door.

The one hard thing: whoever answers says what it likes, as often as it likes. So of one servent so many
results of a search count, each file once, and what comes from all servents together is bounded, too. Where
it says it is counts only when that is not nearer to us than whoever brought the hit; otherwise a push has to
find it.
"""

from collections import Counter
from collections.abc import Iterator

from p2pswarm.formats.ids import InfoHash
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.overlay.query import Hit
from p2pswarm.wire.gnutella.hit import QueryHit
from p2pswarm.wire.gnutella.results import Result

__all__ = ["NAME", "Results"]

NAME = "gnutella"
MOST_OF_ONE = 200  # results of one servent, and of one address: GUIDs are made up at no cost
MOST = 10_000  # results of one search


class Results:
    """Of one search."""

    def __init__(self) -> None:
        self._seen: set[tuple[bytes, object]] = set()
        self._of: Counter[object] = Counter()

    def hits(self, hit: QueryHit, teller: Zone) -> Iterator[Hit]:
        """Those that are new, of a hit that somebody there brought."""
        for result in hit.results:
            host = hit.address.host
            key = hit.servent, result.sha1 or (result.name, result.size)
            if key in self._seen or len(self._seen) >= MOST:
                continue
            if max(self._of[hit.servent], self._of[host]) >= MOST_OF_ONE:
                return
            self._seen.add(key)
            self._of.update((hit.servent, host))
            yield _hit(hit, result, teller)


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
