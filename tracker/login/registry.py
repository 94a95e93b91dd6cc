"""Whose name is whose, and which certificates hold: one SQLite file, the authority's secret among its rows.

One file, so that no copy of it has names without the key that signs for them. Everything here is a thread's
work; each deed is one transaction, on the disk before anybody hears of it.

What may happen to a name: the first key that claims it has it. That key gets certificates again and again;
another one joins it only with the password. A key that was taken back is a stranger's. A name whose last
certificate ended half a year ago is free.
"""

import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from p2pswarm.errors import FormatError, HostError
from p2pswarm.formats.people.certificate import Certificate, Revocations
from p2pswarm.formats.people.issuing import Issuer
from p2pswarm.wire.login import Claim, Deed, Granted, Refusal, Revoked, Why
from tracker.login.passwords import Passwords

__all__ = ["LIFE", "Registry"]

_DAY = 86_400
LIFE = 90 * _DAY  # of a certificate
_KEPT = 180 * _DAY  # a name after its last certificate
_EARLY = 300  # seconds that a certificate begins before it is given: clocks differ
MOST_NAMES = 1_000_000
MOST_KEYS = 5  # devices of a name
_MOST_REVOKED = 2_000  # certificates in the list, which has at most 64 KiB

_TABLES = """
CREATE TABLE authority (seed BLOB NOT NULL, made INTEGER NOT NULL, lists INTEGER NOT NULL);
CREATE TABLE names (name TEXT PRIMARY KEY, password TEXT, ends INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX names_end ON names (ends);
CREATE TABLE keys (key BLOB PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX keys_name ON keys (name);
CREATE TABLE certificates (
    serial INTEGER PRIMARY KEY, key BLOB NOT NULL, name TEXT NOT NULL, begins INTEGER NOT NULL,
    ends INTEGER NOT NULL, revoked INTEGER NOT NULL, der BLOB NOT NULL
);
CREATE INDEX certificates_key ON certificates (key);
CREATE INDEX certificates_end ON certificates (ends);
CREATE INDEX certificates_revoked ON certificates (ends) WHERE revoked;
"""
_APPLICATION, _VERSION = 0x70326C67, 1  # "p2lg"

_Answer = Granted | Revoked | Refusal
_TAKEN = Refusal(Why.TAKEN, "the name is taken")


class Registry:
    """`may_take` is asked before a new name is given away. Raises HostError when the file cannot be used."""

    def __init__(self, path: Path, now: float) -> None:
        self._path = path
        self._sql = _connected(path)
        try:
            with _told(path):
                self.issuer = self._issuer(now)
                self.revocations = self._list(now)
        except BaseException:
            self._sql.close()
            raise
        self._passwords = Passwords()

    def close(self) -> None:
        self._sql.close()

    def do(self, claim: Claim, now: float, may_take: Callable[[], bool]) -> _Answer:
        """What a proven claim comes to. Raises HostError."""
        with _told(self._path):
            with self._transaction():
                is_new = claim.deed is Deed.REGISTER
                answer = (
                    self._register(claim, now, may_take) if is_new else self._revoke(claim, now)
                )
            if isinstance(answer, Revoked) and answer.count:
                self.revocations = self._list(now)
            return answer

    # Certificates given

    def _register(self, claim: Claim, now: float, may_take: Callable[[], bool]) -> _Answer:
        self._forget(now)
        row = self._one("SELECT password FROM names WHERE name = ?", claim.name)
        known = self._one("SELECT name FROM keys WHERE key = ?", claim.key)
        if known is not None and known[0] != claim.name:
            return Refusal(Why.BAD, f"this key has another name already: {known[0]}")
        if row is None:
            return self._take(claim, now, may_take)
        fits = bool(claim.password) and self._passwords.fits(claim.password, row[0])
        if known is None:
            return self._join(claim, now) if fits else _TAKEN
        if claim.password and row[0] is None:
            self._set_password(claim)
        elif claim.password and not fits:
            return Refusal(Why.TAKEN, "the name has another password")
        return self._certificate(claim, now)

    def _take(self, claim: Claim, now: float, may_take: Callable[[], bool]) -> _Answer:
        if not may_take():
            return Refusal(Why.LIMIT, "too many new names from your address, try again later")
        if self._number("SELECT count(*) FROM names") >= MOST_NAMES:
            return Refusal(Why.LIMIT, "there is no room for another name")
        self._sql.execute("INSERT INTO names VALUES (?, NULL, 0)", (claim.name,))
        if claim.password:
            self._set_password(claim)
        return self._join(claim, now)

    def _join(self, claim: Claim, now: float) -> _Answer:
        """One more key for the name."""
        if self._number("SELECT count(*) FROM keys WHERE name = ?", claim.name) >= MOST_KEYS:
            text = f"the name has {MOST_KEYS} keys, which is the most: take some back first"
            return Refusal(Why.LIMIT, text)
        self._sql.execute("INSERT INTO keys VALUES (?, ?)", (claim.key, claim.name))
        return self._certificate(claim, now)

    def _certificate(self, claim: Claim, now: float) -> Granted:
        """The one that there is while most of its time is left: who asks often gets the same again."""
        held = self._one(
            "SELECT der FROM certificates WHERE key = ? AND name = ? AND NOT revoked"
            " AND ends > ? AND begins <= ?",
            claim.key, claim.name, now + LIFE * 2 / 3, now,
        )  # fmt: skip
        return Granted(held[0] if held is not None else self._issue(claim, now).der)

    def _issue(self, claim: Claim, now: float) -> Certificate:
        serial = secrets.randbits(62) | 1 << 62
        made = self.issuer.issue(claim.name, claim.key, serial, now - _EARLY, now + LIFE)
        self._sql.execute(
            "INSERT INTO certificates VALUES (?, ?, ?, ?, ?, 0, ?)",
            (serial, claim.key, claim.name, made.begins, made.ends, made.der),
        )
        self._sql.execute("UPDATE names SET ends = ? WHERE name = ?", (made.ends, claim.name))
        return made

    def _set_password(self, claim: Claim) -> None:
        hashed = self._passwords.hash(claim.password)
        self._sql.execute("UPDATE names SET password = ? WHERE name = ?", (hashed, claim.name))

    def _forget(self, now: float) -> None:
        """What ended, and names that nobody came back for."""
        self._sql.execute("DELETE FROM certificates WHERE ends < ?", (now,))
        gone = "SELECT name FROM names WHERE ends < ?"
        self._sql.execute(f"DELETE FROM keys WHERE name IN ({gone})", (now - _KEPT,))  # noqa: S608
        self._sql.execute("DELETE FROM names WHERE ends < ?", (now - _KEPT,))

    # Certificates taken back

    def _revoke(self, claim: Claim, now: float) -> _Answer:
        row = self._one("SELECT password FROM names WHERE name = ?", claim.name)
        if claim.password:
            if not self._passwords.fits(claim.password, None if row is None else row[0]):
                return _TAKEN
            which = "name = ? AND key != ?"
        else:
            which = "name = ? AND key = ?"
            if self._one(f"SELECT 1 FROM keys WHERE {which}", claim.name, claim.key) is None:  # noqa: S608
                return _TAKEN
        values = (claim.name, claim.key)
        self._sql.execute(f"DELETE FROM keys WHERE {which}", values)  # noqa: S608
        held = f"UPDATE certificates SET revoked = 1 WHERE {which} AND NOT revoked AND ends > ?"  # noqa: S608
        count = self._sql.execute(held, (*values, now)).rowcount
        if count:
            self._sql.execute("UPDATE authority SET lists = lists + 1")
        return Revoked(count)

    def _list(self, now: float) -> Revocations:
        """Those that still hold by their time; where there are too many, of each name the last to end.

        So somebody who takes his own certificates back all the time pushes out nobody's but his own.
        """
        rows = self._sql.execute(
            "SELECT serial FROM (SELECT serial, ends, row_number() OVER"
            " (PARTITION BY name ORDER BY ends DESC) AS place FROM certificates"
            " WHERE revoked AND ends > ?) ORDER BY place, ends DESC LIMIT ?",
            (now, _MOST_REVOKED),
        )
        number = self._number("SELECT lists FROM authority")
        return self.issuer.revoke([serial for (serial,) in rows], number, now)

    # The file

    def _issuer(self, now: float) -> Issuer:
        """The authority of this file; made, with its tables, when the file is new."""
        if not self._number("SELECT count(*) FROM sqlite_schema"):
            with self._transaction():
                for statement in _TABLES.split(";"):
                    self._sql.execute(statement)
                made = (secrets.token_bytes(32), int(now))
                self._sql.execute("INSERT INTO authority VALUES (?, ?, 1)", made)
                self._sql.execute(f"PRAGMA application_id = {_APPLICATION}")
                self._sql.execute(f"PRAGMA user_version = {_VERSION}")
        mark = self._number("PRAGMA application_id"), self._number("PRAGMA user_version")
        if mark != (_APPLICATION, _VERSION):
            raise HostError(f"{self._path} is of another program, or another version")
        seed, made_at = self._sql.execute("SELECT seed, made FROM authority").fetchone()
        return Issuer.new(seed, made_at)

    def _one(self, query: str, *values: object) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._sql.execute(query, values).fetchone()
        return row

    def _number(self, query: str, *values: object) -> int:
        """Of a query that always has an answer."""
        return int(self._sql.execute(query, values).fetchone()[0])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._sql.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._sql.execute("ROLLBACK")
            raise
        self._sql.execute("COMMIT")


def _connected(path: Path) -> sqlite3.Connection:
    """For its owner's eyes only: SQLite gives its other files the same mode."""
    try:
        path.parent.mkdir(0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    except OSError as error:
        raise HostError(f"{path} cannot be used: {error.strerror}") from error
    if path.stat().st_mode & 0o077:
        raise HostError(f"others can read {path}, which holds the authority's secret: chmod 600 it")
    with _told(path):
        sql = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        sql.execute("PRAGMA locking_mode = EXCLUSIVE")
        sql.execute("PRAGMA journal_mode = WAL")
        sql.execute("PRAGMA synchronous = FULL")
    return sql


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What SQLite says, in our words. A file that is damaged is never made anew: it has the only key."""
    try:
        yield
    except (sqlite3.Error, FormatError) as error:
        raise HostError(f"{path} cannot hold the names: {error}") from error
