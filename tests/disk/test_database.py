import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from p2pswarm.disk.database import DamagedError, Database
from p2pswarm.errors import DiskError, DiskFullError

TABLES = "CREATE TABLE thing (name TEXT);"


def database(path: Path, *, version: int = 1, application: int = 77) -> Database:
    return Database(path, application=application, version=version, tables=TABLES)


def put(db: Database, *names: str) -> None:
    with db.writing():
        db.many("INSERT INTO thing VALUES (?)", [(name,) for name in names])


def names(db: Database) -> list[str]:
    return [name for (name,) in db.rows("SELECT name FROM thing")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "below" / "index.db"


@pytest.fixture
def db(path: Path) -> Iterator[Database]:
    db = database(path)
    db.open()
    yield db
    db.close()


def reopened(db: Database, path: Path) -> Database:
    db.close()
    again = database(path)
    again.open()
    return again


def test_what_is_written_is_there_next_time(db: Database, path: Path) -> None:
    put(db, "a", "b")
    again = reopened(db, path)
    assert names(again) == ["a", "b"]
    assert again.one("SELECT count(*) FROM thing") == (2,)
    again.close()
    again.close()


def test_all_or_nothing(db: Database) -> None:
    def half_of_it() -> None:
        with db.writing():
            db.many("INSERT INTO thing VALUES (?)", [("a",)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half_of_it()
    assert names(db) == []


def test_one_process_has_it(db: Database, path: Path) -> None:
    put(db, "a")
    code = (
        "from pathlib import Path\n"
        "from p2pswarm.disk.database import Database\n"
        f"Database(Path({str(path)!r}), application=77, version=1, tables={TABLES!r}).open()\n"
    )
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert other.returncode
    assert "InUseError: another process works with" in other.stderr
    assert names(db) == ["a"]


FOREIGN = {
    "text": b"these are not the bytes you are looking for" * 99,
    "cut": None,
    "empty header": b"SQLite format 3\0" + bytes(5000),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_no_database_is_put_aside(
    path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    db = database(path)
    db.open()
    put(db, *map(str, range(5000)))
    db.close()
    content = FOREIGN[kind] or path.read_bytes()[:9000]
    path.write_bytes(content)
    db.open()
    try:
        assert len(names(db)) == 0
    except DamagedError:  # some damage shows only later
        db.reset()
    assert names(db) == []
    put(db, "new")
    db.close()
    assert path.with_name("index.db.bad").read_bytes()[:100] == content[:100]
    assert "is made anew, the old one is index.db.bad" in caplog.text


@pytest.mark.parametrize("kind", [{"application": 78}, {"version": 2}])
def test_another_program_or_version_is_put_aside_as_it_is(
    path: Path, kind: dict[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    other = database(path, **kind)
    other.open()
    put(other, "theirs")
    other.close()
    db = database(path)
    db.open()
    assert names(db) == []
    db.close()
    with sqlite3.connect(path.with_name("index.db.bad")) as aside:
        assert aside.execute("SELECT name FROM thing").fetchall() == [("theirs",)]
    aside.close()
    assert "is of another" in caplog.text


def test_a_database_of_somebody_else_is_not_touched_before_it_is_put_aside(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as theirs:
        theirs.execute("CREATE TABLE accounts (money INTEGER)")
    theirs.close()
    before = path.read_bytes()
    db = database(path)
    db.open()
    db.close()
    assert path.with_name("index.db.bad").read_bytes() == before


def test_damage_that_shows_later_is_told(db: Database, path: Path) -> None:
    put(db, *(str(number) * 50 for number in range(5000)))
    db.close()
    data = bytearray(path.read_bytes())
    for at in range(4096, len(data), 4096):  # every page but the first
        data[at : at + 64] = b"\xff" * 64
    path.write_bytes(data)
    db.open()
    with pytest.raises(DamagedError):
        names(db)
    db.reset()
    assert names(db) == []


def test_wrong_sql_is_an_error_that_names_the_file(db: Database, path: Path) -> None:
    with pytest.raises(DiskError, match=r"cannot use .*index\.db: no such table"):
        db.rows("SELECT * FROM missing")


def test_a_full_disk_is_told_as_such_and_undone(db: Database) -> None:
    put(db, "before")
    db.one("PRAGMA max_page_count = 10")
    with pytest.raises(DiskFullError):
        put(db, *(str(number) * 500 for number in range(1000)))
    assert names(db) == ["before"]
    put(db, "after")


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DiskError, match="cannot make"):
        database(tmp_path / "file" / "index.db").open()


def test_a_folder_in_the_way_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "index.db").mkdir()
    with pytest.raises(DiskError, match="cannot use"):
        database(tmp_path / "index.db").open()
