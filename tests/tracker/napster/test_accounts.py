import asyncio
import sqlite3
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from p2pswarm.errors import HostError
from tracker.napster.accounts import Account, Accounts, Refused, Seen


class Date:
    def __init__(self) -> None:
        self.now = 1_000_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def date() -> Date:
    return Date()


@pytest.fixture
async def accounts(tmp_path: Path, date: Date) -> AsyncIterator[Accounts]:
    accounts = Accounts(tmp_path / "accounts", date)
    await accounts.start()
    yield accounts
    await accounts.aclose()


async def log_in(
    accounts: Accounts, nick: str, password: str, email: str | None = None, *, may: bool = True
) -> Account | Refused:
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    accounts.log_in(nick, password, email, may_register=may, done=future.set_result)
    return await future


async def look_up(accounts: Accounts, nick: str) -> Seen | None:
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    accounts.look_up(nick, future.set_result)
    return await future


async def test_who_comes_first_has_the_nick(accounts: Accounts) -> None:
    assert await log_in(accounts, "Foo", "secret") == Account("Foo", "", new=True)
    assert await log_in(accounts, "foo", "secret") == Account("Foo", "", new=False)
    assert await log_in(accounts, "foo", "guess") == Refused("Invalid Password", guess=True)


async def test_message_6_is_for_new_nicks_only(accounts: Accounts) -> None:
    assert await log_in(accounts, "foo", "secret", "a@b.c") == Account("foo", "a@b.c", new=True)
    refused = Refused("Nick registered to another user")
    assert await log_in(accounts, "foo", "secret", "a@b.c") == refused
    assert await log_in(accounts, "foo", "secret") == Account("foo", "a@b.c", new=False)


async def test_an_address_that_made_enough_accounts_makes_no_more(accounts: Accounts) -> None:
    await log_in(accounts, "old", "secret")
    outcome = await log_in(accounts, "new", "secret", may=False)
    assert isinstance(outcome, Refused)
    assert "too many new accounts" in outcome.why
    assert isinstance(await log_in(accounts, "old", "secret", may=False), Account)


async def test_passwords_and_addresses_can_be_changed(accounts: Accounts) -> None:
    await log_in(accounts, "foo", "old")
    future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    accounts.change_password("FOO", "new", future.set_result)
    assert await future is True
    accounts.change_email("foo", "x@y.z")
    assert await log_in(accounts, "foo", "new") == Account("foo", "x@y.z", new=False)
    assert isinstance(await log_in(accounts, "foo", "old"), Refused)


async def test_accounts_know_who_was_here_and_when(accounts: Accounts, date: Date) -> None:
    assert await look_up(accounts, "foo") is None
    await log_in(accounts, "Foo", "secret")
    date.now += 100
    accounts.leave("foo")
    assert await look_up(accounts, "FOO") == Seen("Foo", int(date.now))


async def test_who_stays_away_for_half_a_year_loses_the_nick(
    accounts: Accounts, date: Date
) -> None:
    await log_in(accounts, "foo", "secret")
    date.now += 179 * 86400
    assert await log_in(accounts, "foo", "secret") == Account("foo", "", new=False)
    date.now += 181 * 86400
    assert await look_up(accounts, "foo") is None
    assert await log_in(accounts, "foo", "other") == Account("foo", "", new=True)
    assert isinstance(await log_in(accounts, "foo", "secret"), Refused)


async def test_the_file_outlives_the_server_and_tells_no_password(tmp_path: Path) -> None:
    file = tmp_path / "accounts"
    for new in (True, False):
        accounts = Accounts(file)
        await accounts.start()
        assert await log_in(accounts, "foo", "open sesame") == Account("foo", "", new=new)
        await accounts.aclose()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"sesame" not in file.read_bytes()
    rows = sqlite3.connect(file).execute("SELECT hash, salt FROM accounts").fetchall()
    assert [(len(digest), len(salt)) for digest, salt in rows] == [(32, 16)]


async def test_odd_passwords(accounts: Accounts) -> None:
    for password in ("\udcff\udcfe", "p\u00e4ss", "x" * 1000):
        nick = f"n{len(password)}"
        assert await log_in(accounts, nick, password) == Account(nick, "", new=True)
        assert await log_in(accounts, nick, password) == Account(nick, "", new=False)


async def test_a_file_that_is_none_of_ours(tmp_path: Path) -> None:
    (tmp_path / "junk").write_bytes(b"junk" * 1000)
    for path in (tmp_path / "junk", tmp_path / "nowhere" / "accounts", tmp_path):
        with pytest.raises(HostError, match="cannot hold the accounts"):
            await Accounts(path).start()


async def test_a_database_that_fails_lets_nobody_in_and_says_so(
    accounts: Accounts, caplog: pytest.LogCaptureFixture
) -> None:
    await log_in(accounts, "foo", "secret")
    accounts._db.execute("DROP TABLE accounts")
    outcome = await log_in(accounts, "foo", "secret")
    assert outcome == Refused("the accounts cannot be read, try again later")
    assert await look_up(accounts, "foo") is None
    future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    accounts.change_password("foo", "new", future.set_result)
    assert await future is False
    assert "a job of napster-accounts failed" in caplog.text


async def test_too_many_at_once(accounts: Accounts) -> None:
    assert not accounts.busy
    outcomes: list[object] = []
    for _ in range(300):
        accounts.leave("nobody")
    assert accounts.busy
    accounts.look_up("nobody", outcomes.append)
    while not outcomes:
        await asyncio.sleep(0)
    assert not accounts.busy


async def test_who_closes_hears_nothing_more(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path / "accounts")
    await accounts.start()
    heard: list[object] = []
    accounts.look_up("foo", heard.append)
    await accounts.aclose()
    await accounts.aclose()
    accounts.look_up("foo", heard.append)
    await asyncio.sleep(0)
    assert heard == []
