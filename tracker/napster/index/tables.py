"""The tables of the index in SQLite. All of it is synchronous and runs in the index's thread."""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from p2pswarm.errors import HostError
from p2pswarm.formats.words import Kind, kind_of, words_of
from p2pswarm.wire.fields import as_bytes, as_text
from p2pswarm.wire.napster import Bounds
from tracker.napster.index import Found, Query, SharedFile, readable

__all__ = ["Tables"]

_OURS = 0x4E617031  # SQLite's application_id: a file that may be thrown away
_PART = 500  # files deleted in one go
_PATIENCE = 0.25  # seconds of one search
_STEPS = 10_000  # of SQLite's machine between two looks at the clock

_SETTINGS = """
PRAGMA journal_mode = MEMORY;
PRAGMA synchronous = OFF;
PRAGMA temp_store = MEMORY;
PRAGMA cache_size = -65536;
"""
_SCHEMA = f"""
PRAGMA application_id = {_OURS};
CREATE TABLE holders (holder INTEGER PRIMARY KEY, owner INTEGER, speed INTEGER);
CREATE TABLE files (
    id INTEGER PRIMARY KEY, holder INTEGER, key INTEGER, name BLOB, md5 BLOB, size INTEGER,
    bitrate INTEGER, frequency INTEGER, seconds INTEGER, sha1 BLOB, btih BLOB, kind TEXT
);
CREATE UNIQUE INDEX by_name ON files (holder, key);
CREATE INDEX by_md5 ON files (md5) WHERE md5 IS NOT NULL;
CREATE INDEX by_sha1 ON files (sha1) WHERE sha1 IS NOT NULL;
CREATE INDEX by_btih ON files (btih) WHERE btih IS NOT NULL;
CREATE VIRTUAL TABLE terms USING fts5 (
    words, content = '', detail = none, columnsize = 0, tokenize = 'ascii'
);
"""
_COLUMNS = "name, md5, size, bitrate, frequency, seconds, sha1, btih"
_FILES = f"SELECT {_COLUMNS} FROM files WHERE holder = ?"  # noqa: S608 - of constants, as those below
_LOOKUPS = {
    kind: f"SELECT owner, {_COLUMNS} FROM files JOIN holders USING (holder)"  # noqa: S608
    f" WHERE {kind} = ? AND size BETWEEN ? AND ? LIMIT ?"
    for kind in ("md5", "sha1", "btih")
}
_SEARCH = f"""
SELECT owner, {_COLUMNS} FROM terms JOIN files ON files.id = terms.rowid JOIN holders USING (holder)
WHERE terms MATCH ? AND owner != ? AND (kind = ? OR ? = '{Kind.ANY}')
AND speed BETWEEN ? AND ? AND size BETWEEN ? AND ? AND bitrate BETWEEN ? AND ?
AND frequency BETWEEN ? AND ? AND seconds BETWEEN ? AND ?
"""  # noqa: S608


class Tables:
    """`open` before use, `close` at the end; the file is gone then."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database: sqlite3.Connection | None = None

    @property
    def _db(self) -> sqlite3.Connection:
        assert self._database is not None
        return self._database

    def open(self) -> None:
        """Raises HostError when the file cannot be used, or is something else's."""
        try:
            if self._path.exists() and self._path.stat().st_size:
                self._throw_away()
            database = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
            database.executescript(_SETTINGS + _SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise HostError(f"{self._path} cannot hold the index: {error}") from error
        self._database = database

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
            self._path.unlink(missing_ok=True)

    def hold(self, holder: int, owner: int, speed: int) -> None:
        self._db.execute("INSERT OR REPLACE INTO holders VALUES (?, ?, ?)", (holder, owner, speed))

    def let_go(self, holder: int) -> None:
        self._db.execute("DELETE FROM holders WHERE holder = ?", (holder,))

    def renumber(self, old: int, new: int) -> int:
        """The owner goes on under another number; how many files stay behind."""
        self._db.execute("UPDATE holders SET holder = ? WHERE holder = ?", (new, old))
        (count,) = self._db.execute(
            "SELECT count(*) FROM files WHERE holder = ?", (old,)
        ).fetchone()
        return int(count)

    def add(self, many: Sequence[tuple[int, Sequence[SharedFile]]]) -> list[tuple[int, int]]:
        """For each holder how many files were new, and their bytes."""
        with self._db:
            self._db.execute("BEGIN")
            return [self._add_some(holder, files) for holder, files in many]

    def note(self, holder: int, name: str, sha1: bytes, info_hash: bytes) -> None:
        self._db.execute(
            "UPDATE files SET sha1 = coalesce(sha1, ?), btih = coalesce(btih, ?)"
            " WHERE holder = ? AND key = ?",
            (sha1 or None, info_hash or None, holder, _key(name)),
        )

    def remove(self, holder: int, name: str) -> int | None:
        """The size of the file, None when it is not there."""
        found = self._db.execute(
            "SELECT id, name, size FROM files WHERE holder = ? AND key = ?", (holder, _key(name))
        ).fetchone()
        if found is None:
            return None
        self._delete([found[:2]])
        return int(found[2])

    def delete(self, holder: int) -> bool:
        """Some of what is left of somebody who has gone; whether there is more."""
        some = self._db.execute(
            "SELECT id, name FROM files WHERE holder = ? LIMIT ?", (holder, _PART)
        ).fetchall()
        self._delete(some)
        return len(some) == _PART

    def find(self, holder: int, name: str) -> SharedFile | None:
        row = self._db.execute(_FILES + " AND key = ?", (holder, _key(name))).fetchone()
        return None if row is None else _file(*row)

    def listing(self, holder: int, most: int) -> list[SharedFile]:
        rows = self._db.execute(_FILES + " LIMIT ?", (holder, most))
        return [_file(*row) for row in rows]

    def lookup(self, kind: str, digest: bytes, size: Bounds, most: int) -> list[Found]:
        rows = self._db.execute(_LOOKUPS[kind], (digest, *size, most))
        return [Found(owner, _file(*row)) for owner, *row in rows]

    def search(self, query: Query) -> list[Found]:
        """What was found within `_PATIENCE`."""
        found: list[Found] = []
        late = time.monotonic() + _PATIENCE
        self._db.set_progress_handler(lambda: time.monotonic() > late, _STEPS)
        try:
            for owner, *row in self._rows(query):
                found.append(Found(owner, _file(*row)))
                if len(found) >= query.most:
                    break
        except sqlite3.OperationalError:
            if time.monotonic() <= late:
                raise
        finally:
            self._db.set_progress_handler(None, 0)
        return found

    def _rows(self, query: Query) -> Iterator[tuple[Any, ...]]:
        ranges = (query.speed, query.size, query.bitrate, query.frequency, query.seconds)
        return self._db.execute(
            _SEARCH,
            (
                _match(query),
                query.but_not,
                query.kind,
                query.kind,
                *(end for bounds in ranges for end in bounds),
            ),
        )

    def _add_some(self, holder: int, files: Sequence[SharedFile]) -> tuple[int, int]:
        added = size = 0
        for file in files:
            row = self._db.execute(
                "INSERT OR IGNORE INTO files VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (holder, _key(file.name), as_bytes(file.name), *_digests(file)),
            )
            if row.rowcount:
                words = " ".join(words_of(readable(file.name)))
                self._db.execute(
                    "INSERT INTO terms (rowid, words) VALUES (?, ?)", (row.lastrowid, words)
                )
                added, size = added + 1, size + file.size
        return added, size

    def _delete(self, some: Sequence[tuple[int, bytes]]) -> None:
        words = [(number, " ".join(words_of(readable(as_text(name))))) for number, name in some]
        with self._db:
            self._db.execute("BEGIN")
            # A table without content has to be told what it forgets.
            self._db.executemany(
                "INSERT INTO terms (terms, rowid, words) VALUES ('delete', ?, ?)", words
            )
            self._db.executemany(
                "DELETE FROM files WHERE id = ?", [(number,) for number, _ in some]
            )

    def _throw_away(self) -> None:
        """What an earlier run left. Raises HostError when it is anything else."""
        database = sqlite3.connect(self._path)
        try:
            (mark,) = database.execute("PRAGMA application_id").fetchone()
        finally:
            database.close()
        if mark != _OURS:
            raise HostError(f"{self._path} is another program's: it is not overwritten")
        self._path.unlink()


def _digests(file: SharedFile) -> tuple[object, ...]:
    """A file's columns from md5 on."""
    return (
        file.md5 or None,
        file.size,
        file.bitrate,
        file.frequency,
        file.seconds,
        file.sha1 or None,
        file.info_hash or None,
        kind_of(file.name),
    )


def _file(
    name: bytes,
    md5: bytes | None,
    size: int,
    bitrate: int,
    frequency: int,
    seconds: int,
    sha1: bytes | None,
    btih: bytes | None,
) -> SharedFile:
    numbers = (size, bitrate, frequency, seconds)
    return SharedFile(as_text(name), md5 or b"", *numbers, sha1 or b"", btih or b"")


def _key(name: str) -> int:
    """A name as a number, so that no index repeats the names."""
    return int.from_bytes(blake2b(as_bytes(name), digest_size=8).digest(), "big", signed=True)


def _match(query: Query) -> str:
    """FTS5's language. The words have only letters, digits and marks."""
    wanted = " AND ".join(f'"{word}"' for word in query.words)
    return " NOT ".join([f"({wanted})", *(f'"{word}"' for word in query.without)])
