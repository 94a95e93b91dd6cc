"""A scan of the shared folders brings the catalog's tables up to date.

Plain calls that block, for one thread at a time. It holds nothing in memory but a bounded page cache and,
during a scan, one bit per file, so a million files open as fast as one.

The one hard thing: a file that changed is another file. It gets a new number, and numbers only grow, so
whoever has seen all numbers up to one asks for those above it and misses nothing.
"""

import json
import os
from collections.abc import Sequence
from itertools import groupby

from bitarray import bitarray

from p2pswarm.disk.database import DamagedError, Database
from p2pswarm.disk.walk import Seen
from p2pswarm.formats.words import Kind, kind_of, plain, words_of
from p2pswarm.overlay.tables import Root, Shared, kind_word, public_name, rows_of

__all__ = ["Shelf"]


class Shelf:
    """`open`, then scans: `begin_scan`, `put` what each folder holds, `sweep` what was not seen.

    Every call may raise DamagedError or DiskError.
    """

    def __init__(self, db: Database, roots: Sequence[Root]) -> None:
        self._db = db
        self._roots = roots
        self._marked = bitarray()  # the numbers that the current scan has seen
        self._next = 1
        self.files = 0
        self.bytes = 0

    def open(self) -> None:
        """Raises InUseError too."""
        self._db.open()
        try:
            self._begin()
        except DamagedError:
            self.reset()

    def reset(self) -> None:
        """After a DamagedError: empty, to be filled by a scan."""
        self._db.reset()
        self._begin()

    def close(self) -> None:
        self._db.close()

    def _begin(self) -> None:
        with self._db.writing():
            self._db.many("UPDATE root SET live = 0", [()])
            self._db.many(
                "INSERT INTO root (path, live, alone) VALUES (?, 1, ?) "
                "ON CONFLICT (path) DO UPDATE SET live = 1, alone = excluded.alone",
                [(os.fsencode(root.path), root.alone) for root in self._roots],
            )
        last = "SELECT max((SELECT coalesce(max(id), 0) FROM file), (SELECT coalesce(max(id), 0) FROM hash))"
        self._next = self._db.one(last)[0] + 1
        self.files, self.bytes = self._db.one("SELECT count(*), coalesce(sum(size), 0) FROM file")
        self.begin_scan()

    def begin_scan(self) -> None:
        self._marked = bitarray(self._next)  # all zeros

    def put(self, root: Root, seen: Sequence[Seen]) -> list[Shared]:
        """Note files of a root. What they were before, if they changed, is returned: it is gone."""
        gone: list[Shared] = []
        with self._db.writing():
            for folder, files in groupby(seen, key=lambda each: each.folder):
                number, name = self._folder(root, folder)
                gone += self._put_files(
                    number, name, {public_name(file.name): file for file in files}
                )
        return gone

    def _folder(self, root: Root, path: tuple[str, ...]) -> tuple[int, str]:
        """Its number, made if it is new, and its public name."""
        (number,) = self._db.one("SELECT id FROM root WHERE path = ?", os.fsencode(root.path))
        name = "/".join(filter(None, (root.name, *map(public_name, path))))
        find = "SELECT id FROM folder WHERE name = ? AND root = ?"
        known = self._db.one(find, name, number)
        if known is None:
            values = (number, name, os.fsencode("/".join(path)))
            self._db.many("INSERT INTO folder (root, name, path) VALUES (?, ?, ?)", [values])
            known = self._db.one(find, name, number)
        return known[0], name

    def _put_files(self, folder: int, above: str, files: dict[str, Seen]) -> list[Shared]:
        known = self._known(folder, list(files))
        changed: list[int] = []
        new: list[tuple[str, Seen]] = []
        for name, file in files.items():
            number, *before = known.get(name, (0,))
            # One that is marked already is a twin: two odd names with the same public one.
            if number and (before == [file.size, file.changed] or self._marked[number]):
                self._marked[number] = 1
                continue
            if number:
                changed.append(number)
            new.append((name, file))
        gone = self._remove(changed)
        self._add(folder, above, new)
        return gone

    def _known(self, folder: int, names: Sequence[str]) -> dict[str, tuple[int, int, int]]:
        rows = self._db.rows(
            "SELECT name, id, size, changed FROM file "
            "WHERE folder = ? AND name IN (SELECT value FROM json_each(?))",
            folder,
            json.dumps(names),
        )
        return {name: rest for name, *rest in rows}

    def _add(self, folder: int, above: str, new: Sequence[tuple[str, Seen]]) -> None:
        files, words = [], []
        for number, (name, file) in enumerate(new, self._next):
            path = None if file.name == name else os.fsencode(file.name)
            files.append((number, folder, name, file.size, file.changed, path))
            words.append((number, _words(f"{above}/{name}")))
        self._db.many("INSERT INTO file VALUES (?, ?, ?, ?, ?, ?)", files)
        self._db.many("INSERT INTO word (rowid, words) VALUES (?, ?)", words)
        self._next += len(new)
        self._marked.extend([1] * len(new))
        self.files += len(new)
        self.bytes += sum(file.size for _, file in new)

    def sweep(self, after: int, most: int) -> tuple[int | None, list[Shared]]:
        """Remove what the scan did not see, of `most` files after this number.

        Returns where to go on, None at the end, and what is gone.
        """
        rows = self._db.rows("SELECT id FROM file WHERE id > ? ORDER BY id LIMIT ?", after, most)
        with self._db.writing():
            gone = self._remove([number for (number,) in rows if not self._marked[number]])
        if len(rows) == most:
            return rows[-1][0], gone
        with self._db.writing():
            self._db.many("DELETE FROM folder WHERE id NOT IN (SELECT folder FROM file)", [()])
            self._db.many("DELETE FROM root WHERE NOT live", [()])
        return None, gone

    def _remove(self, numbers: Sequence[int]) -> list[Shared]:
        if not numbers:
            return []
        chosen = "file.id IN (SELECT value FROM json_each(?))"
        gone = rows_of(self._db, chosen, json.dumps(numbers))
        words = [(each.id, _words(each.name)) for each in gone]
        self._db.many("INSERT INTO word (word, rowid, words) VALUES ('delete', ?, ?)", words)
        for table in ("file", "hash", "tree"):
            self._db.many(f"DELETE FROM {table} WHERE id = ?", [(each.id,) for each in gone])  # noqa: S608
        self.files -= len(gone)
        self.bytes -= sum(each.size for each in gone)
        return gone


def _words(name: str) -> str:
    """The file's own words first: of a name with too many words the last are dropped."""
    above, _, last = name.rpartition("/")
    kinds = {kind_word(Kind.ANY), kind_word(kind_of(last))}
    return " ".join((*plain(words_of(f"{last} {above}")), *sorted(kinds)))
