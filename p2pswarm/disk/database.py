"""A SQLite file that holds nothing which could not be made anew: an index, a cache.

For one thread at a time and one process. A file that is damaged, of another version or not ours at all is
put aside under another name, told in the log, and replaced by an empty one; damage that shows only later is a
`DamagedError`, after which the owner calls `reset`. Everything else that SQLite says becomes a DiskError.
"""

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from p2pswarm.disk.handles import disk_error
from p2pswarm.errors import DiskError, DiskFullError, InUseError

__all__ = ["DamagedError", "Database"]

log = logging.getLogger(__name__)

_CACHE = 16 << 10  # KiB of pages held in memory
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class DamagedError(DiskError):
    """The file does not hold what it should."""


class Database:
    """`application` and `version` tell our files from others; `tables` is the SQL that makes a new one."""

    def __init__(self, path: Path, *, application: int, version: int, tables: str) -> None:
        self._path = path
        self._mark = (application, version)
        self._tables = tables
        self._sql: sqlite3.Connection | None = None

    def open(self) -> None:
        """Raises InUseError when another process has it, DiskError."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._connect()
        except OSError as error:
            raise disk_error("make", self._path.parent, error) from error
        except DamagedError as error:
            self._put_aside(str(error))
            self._connect()

    def reset(self) -> None:
        """Put it aside and begin anew, after a DamagedError. Raises DiskError."""
        self._put_aside("is damaged")
        self._connect()

    def close(self) -> None:
        """May be called twice."""
        sql, self._sql = self._sql, None
        if sql is not None:
            with _told(self._path):
                sql.close()

    def rows(self, query: str, *values: Any) -> list[Any]:
        """All rows of an answer. Raises DiskError."""
        with _told(self._path):
            return self._open().execute(query, values).fetchall()

    def one(self, query: str, *values: Any) -> Any:
        """The first row, or None. Raises DiskError."""
        with _told(self._path):
            return self._open().execute(query, values).fetchone()

    def many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """The same statement with each row, inside `writing`. Raises DiskError."""
        with _told(self._path):
            self._open().executemany(statement, rows)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """All or nothing of what is inside. Raises DiskError."""
        sql = self._open()
        with _told(self._path):
            sql.execute("BEGIN IMMEDIATE")
        try:
            yield
            with _told(self._path):
                sql.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # a full disk has rolled it back already
                sql.execute("ROLLBACK")
            raise

    def _open(self) -> sqlite3.Connection:
        assert self._sql is not None, "the database is not open"
        return self._sql

    def _connect(self) -> None:
        with _told(self._path):
            # One thread at a time, but not always the same one.
            self._sql = sqlite3.connect(
                self._path, timeout=0, isolation_level=None, check_same_thread=False
            )
        try:
            with _told(self._path):
                self._prepare(self._sql)
        except BaseException:
            self.close()
            raise

    def _prepare(self, sql: sqlite3.Connection) -> None:
        sql.execute("PRAGMA locking_mode = EXCLUSIVE")
        new = not sql.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if not new:
            self._refuse_foreign(sql)
        sql.execute("PRAGMA journal_mode = WAL")
        sql.execute("PRAGMA synchronous = NORMAL")  # a power cut may cost the last second, no more
        sql.execute(f"PRAGMA cache_size = -{_CACHE}")
        if new:
            application, version = self._mark
            sql.executescript(
                f"BEGIN IMMEDIATE; PRAGMA application_id = {application};"
                f"PRAGMA user_version = {version}; {self._tables} COMMIT;"
            )

    def _refuse_foreign(self, sql: sqlite3.Connection) -> None:
        """Before anything is written to it."""
        application, version = self._mark
        if sql.execute("PRAGMA application_id").fetchone()[0] != application:
            raise DamagedError("is of another program")
        if sql.execute("PRAGMA user_version").fetchone()[0] != version:
            raise DamagedError("is of another version")

    def _put_aside(self, reason: str) -> None:
        self.close()
        aside = self._path.with_name(self._path.name + ".bad")
        log.warning("%s %s: it is made anew, the old one is %s", self._path, reason, aside.name)
        try:
            self._path.replace(aside)
            for extra in ("-wal", "-shm", "-journal"):
                self._path.with_name(self._path.name + extra).unlink(missing_ok=True)
        except OSError as error:
            raise disk_error("replace", self._path, error) from error


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What SQLite says, in our words."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest of it tells where
        if code in _DAMAGED:
            raise DamagedError("is damaged") from error
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise InUseError(f"another process works with {path}") from error
        kind = DiskFullError if code == sqlite3.SQLITE_FULL else DiskError
        raise kind(f"cannot use {path}: {error}") from error
