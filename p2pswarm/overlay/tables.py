"""The catalog's tables, and what a row of them means.

A file has two names: the public one, which networks carry and which is all that leaves, and its bytes on the
disk, kept beside it only where the two differ. The nodes of tiger trees have a table of their own, which no
search reads; a tree that is nothing but its root has no row there.
"""

import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from p2pswarm.disk.database import Database
from p2pswarm.formats.ids import InfoHash
from p2pswarm.formats.words import Kind

__all__ = [
    "Place",
    "Root",
    "Shared",
    "database",
    "kind_word",
    "place_of",
    "public_name",
    "rows_of",
]

_OURS = 0x70327063  # "p2pc"
_VERSION = 3  # of the tables below, and of the words that stand in them
_ODD = re.compile(r'[\x00-\x1f\x7f-\x9f"\\\ud800-\udfff]')  # what networks cannot carry in a name

_TABLES = """
CREATE TABLE root (id INTEGER PRIMARY KEY, path BLOB UNIQUE, live INTEGER NOT NULL,
    alone INTEGER NOT NULL);
CREATE TABLE folder (id INTEGER PRIMARY KEY, root INTEGER NOT NULL, name TEXT NOT NULL, path BLOB);
CREATE UNIQUE INDEX folder_by_name ON folder (name, root);
CREATE TABLE file (id INTEGER PRIMARY KEY, folder INTEGER NOT NULL, name TEXT NOT NULL,
    size INTEGER NOT NULL, changed INTEGER NOT NULL, path BLOB);
CREATE UNIQUE INDEX file_by_name ON file (folder, name);
CREATE TABLE hash (id INTEGER PRIMARY KEY, md5 BLOB, sha1 BLOB, info_hash BLOB, pieces BLOB,
    tth BLOB);
CREATE TABLE tree (id INTEGER PRIMARY KEY, nodes BLOB NOT NULL);
CREATE INDEX hash_todo ON hash (id) WHERE sha1 IS NULL AND md5 IS NOT NULL;
CREATE INDEX hash_by_md5 ON hash (md5) WHERE md5 IS NOT NULL;
CREATE INDEX hash_by_sha1 ON hash (sha1) WHERE sha1 IS NOT NULL;
CREATE INDEX hash_by_info_hash ON hash (info_hash) WHERE info_hash IS NOT NULL;
CREATE INDEX hash_by_tth ON hash (tth) WHERE tth IS NOT NULL;
CREATE VIRTUAL TABLE word USING fts5
    (words, content='', columnsize=0, detail=none, tokenize='ascii');
"""
_SHARED = """
SELECT file.id, folder.name, file.name, size, changed, md5, sha1, info_hash, tth
FROM {} JOIN folder ON folder.id = file.folder JOIN root ON root.id = folder.root
LEFT JOIN hash ON hash.id = file.id WHERE {}
"""
_PLACE = """
SELECT alone, root.path, folder.path, coalesce(file.path, CAST(file.name AS BLOB)) FROM file
JOIN folder ON folder.id = file.folder JOIN root ON root.id = folder.root WHERE file.id = ?
"""


def database(path: Path) -> Database:
    """The file behind a catalog."""
    return Database(path, application=_OURS, version=_VERSION, tables=_TABLES)


class Root(NamedTuple):
    """What a user shares: a folder under its public name, or a file `alone`, which has its own."""

    path: Path
    name: str
    alone: bool


class Place(NamedTuple):
    """Where a shared file lies: elements below a folder that the user named. Never told to anybody."""

    root: Path
    path: tuple[str, ...]


class Shared(NamedTuple):
    """A file that we share. `name` is what the world sees: the shared folder's name and what is below."""

    id: int
    name: str
    size: int
    changed: int
    md5: bytes | None
    sha1: bytes | None
    info_hash: InfoHash | None
    tth: bytes | None = None


def _shared(row: Any) -> Shared:
    number, above, name, size, changed, md5, sha1, raw, tth = row
    info_hash = InfoHash(raw) if raw else None
    whole = f"{above}/{name}" if above else name
    return Shared(number, whole, size, changed, md5, sha1, info_hash, tth)


def rows_of(db: Database, where: str, *values: Any, source: str = "file") -> list[Shared]:
    """The files of which this holds, also of folders that are shared no more: `live` tells them apart."""
    return list(map(_shared, db.rows(_SHARED.format(source, where), *values)))


def place_of(db: Database, shared: Shared) -> Place | None:
    """Where it lies; None when it is not shared any more."""
    row = db.one(_PLACE, shared.id)
    if row is None:
        return None
    alone, *paths = row
    root, folder, name = map(os.fsdecode, paths)
    base = Path(root).parent if alone else Path(root)
    return Place(base, (*filter(None, folder.split("/")), name))


def kind_word(kind: Kind) -> str:
    """The word under which a kind is found, all files under `ANY`; no name has a word like it."""
    return "\ue000" if kind is Kind.ANY else f"\ue000{kind.value}"


def public_name(name: str) -> str:
    """A file's name as networks can carry it."""
    return _ODD.sub("_", name)
