"""Questions to the catalog's tables: by words, by name, by hash, in order, and where a file lies.

Plain calls that block, for one thread at a time. A query looks at so many candidates and no more, so that one
for a common word and a rare size costs no more than others.
"""

from p2pswarm.disk.database import Database
from p2pswarm.formats.words import Kind, plain
from p2pswarm.overlay.query import Digest, Query
from p2pswarm.overlay.tables import Place, Shared, kind_word, place_of, rows_of

__all__ = ["Lookup"]

_CANDIDATES = 20_000  # files with the right words
_LARGEST = (1 << 63) - 1  # bytes

_FOUND = """
(SELECT rowid FROM word WHERE word MATCH ? LIMIT ?) AS found CROSS JOIN file ON file.id = found.rowid
"""
_BY_DIGEST = {
    "md5": "live AND md5 = ? LIMIT ?",
    "sha1": "live AND sha1 = ? LIMIT ?",
    "tth": "live AND tth = ? LIMIT ?",
    "btih": "live AND info_hash = ? LIMIT ?",
}
_LISTED = """
live AND md5 IS NOT NULL AND file.id > ? AND file.id <= (SELECT max(id) FROM hash)
ORDER BY file.id LIMIT ?
"""
_NOTED = """
live AND sha1 IS NOT NULL AND file.id > ? AND file.id < coalesce(
    (SELECT min(id) FROM hash WHERE sha1 IS NULL AND md5 IS NOT NULL),
    (SELECT max(id) + 1 FROM hash)
) ORDER BY file.id LIMIT ?
"""


class Lookup:
    """Every call may raise DamagedError or DiskError."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def search(self, query: Query) -> list[Shared]:
        """At most `query.limit` files."""
        if query.digest is not None:
            return self.by_digest(query.digest, query.limit)
        most = _LARGEST if query.max_size is None else query.max_size
        fitting = "live AND size BETWEEN ? AND ? LIMIT ?"
        values = (_match(query), _CANDIDATES, query.min_size, most, query.limit)
        return rows_of(self._db, fitting, *values, source=_FOUND)

    def by_digest(self, digest: Digest, limit: int) -> list[Shared]:
        """Files with this hash, as far as they are hashed."""
        where = _BY_DIGEST.get(digest.algorithm)
        return rows_of(self._db, where, digest.value, limit) if where else []

    def named(self, name: str) -> Shared | None:
        """The file with exactly this public name."""
        above, _, last = name.rpartition("/")
        found = rows_of(self._db, "live AND folder.name = ? AND file.name = ?", above, last)
        return found[0] if found else None

    def numbered(self, number: int) -> Shared | None:
        """The file with this number."""
        found = rows_of(self._db, "live AND file.id = ?", number)
        return found[0] if found else None

    def place(self, shared: Shared) -> Place | None:
        """Where it lies; None when it is not shared any more."""
        return place_of(self._db, shared)

    def listed(self, after: int, most: int) -> list[Shared]:
        """Files that may be announced, in the order of their numbers: those whose MD5 is known.

        MD5s are found in that order, so none appears below one that was listed.
        """
        return rows_of(self._db, _LISTED, after, most)

    def noted(self, after: int, most: int) -> list[Shared]:
        """Likewise those of which every hash is known."""
        return rows_of(self._db, _NOTED, after, most)


def _match(query: Query) -> str:
    """What FTS5 calls a MATCH. Words hold no quotes."""
    words = plain(query.words)
    if query.kind is not Kind.ANY or not words:  # all files are a long list to go through
        words.append(kind_word(query.kind))
    wanted = " AND ".join(f'"{word}"' for word in words)
    unwanted = " OR ".join(f'"{word}"' for word in plain(query.without))
    return f"({wanted}) NOT ({unwanted})" if unwanted else wanted
