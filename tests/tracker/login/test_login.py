"""The login service over real HTTP, with its client: who gets which name, and who does not."""

import asyncio
import json
import stat
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from p2pswarm.errors import (
    FormatError,
    HostError,
    NameTakenError,
    NetworkError,
    PortTakenError,
    RefusedError,
)
from p2pswarm.formats.people.certificate import Certificate
from p2pswarm.formats.signing import SigningKey
from p2pswarm.identity import Identity
from p2pswarm.registering import LoginService
from p2pswarm.wire.login import Claim, Deed, Granted, Refusal, Revoked, Why, read_challenge
from tests.support.people import DAY, NOW, authority
from tracker.app import TrackerService
from tracker.config import TrackerSettings
from tracker.login import registry as rooms
from tracker.login.challenges import Challenges
from tracker.login.limits import Limits
from tracker.login.passwords import Passwords
from tracker.login.registry import LIFE, Registry
from tracker.login.service import Login

PASSWORD = "correct horse battery"
YES: Callable[[], bool] = lambda: True  # noqa: E731


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes of a kilobyte, else all of this takes long."""
    from argon2 import PasswordHasher

    monkeypatch.setattr("tracker.login.passwords.PasswordHasher", lambda: PasswordHasher(1, 8, 1))


def key(name: str) -> SigningKey:
    return SigningKey(sha256(name.encode()).digest())


class Book:
    """A registry that is asked without HTTP."""

    def __init__(self, path: Path) -> None:
        self.registry = Registry(path, NOW)
        self.now: float = NOW

    def do(self, deed: Deed, name: str, who: str, password: str = "") -> Any:
        ours = self.registry.issuer.authority
        claim = Claim.sign(deed, name, key(who), bytes(32), ours, password)
        return self.registry.do(claim, self.now, YES)

    def register(self, name: str, who: str, password: str = "") -> Any:
        return self.do(Deed.REGISTER, name, who, password)

    def revoke(self, name: str, who: str, password: str = "") -> Any:
        return self.do(Deed.REVOKE, name, who, password)

    def holds(self, answer: object) -> bool:
        assert isinstance(answer, Granted)
        certificate = Certificate.parse(answer.certificate)
        try:
            self.registry.issuer.authority.check(certificate, self.now, self.registry.revocations)
        except FormatError:
            return False
        return True


@pytest.fixture
def book(tmp_path: Path) -> Any:
    book = Book(tmp_path / "login" / "login.sqlite")
    yield book
    book.registry.close()


def test_the_first_key_has_the_name_for_good(book: Book) -> None:
    assert book.holds(book.register("alice", "laptop"))
    for who in ("mallory", "laptop2"):
        assert book.register("alice", who) == Refusal(Why.TAKEN, "the name is taken")
    assert book.register("alice", "mallory", PASSWORD).why is Why.TAKEN
    assert book.holds(book.register("alice", "laptop"))


def test_one_key_has_one_name(book: Book) -> None:
    book.register("alice", "laptop")
    assert book.register("bob", "laptop").why is Why.BAD


def test_who_asks_again_gets_the_same_until_a_third_is_over(book: Book) -> None:
    first = book.register("alice", "laptop")
    book.now += LIFE / 4
    assert book.register("alice", "laptop") == first
    book.now += LIFE / 4
    second = book.register("alice", "laptop")
    assert second != first
    assert Certificate.parse(second.certificate).ends == NOW + LIFE / 2 + LIFE


def test_another_device_joins_with_the_password_alone(book: Book) -> None:
    book.register("alice", "laptop", PASSWORD)
    assert book.register("alice", "phone").why is Why.TAKEN
    assert book.register("alice", "phone", "wrong password").why is Why.TAKEN
    assert book.holds(book.register("alice", "phone", PASSWORD))
    assert book.holds(book.register("alice", "phone"))


def test_a_password_may_come_later_and_then_it_stays(book: Book) -> None:
    book.register("alice", "laptop")
    book.register("alice", "laptop", PASSWORD)
    assert book.register("alice", "laptop", "another password").why is Why.TAKEN
    assert book.holds(book.register("alice", "phone", PASSWORD))


def test_a_name_has_so_many_keys(book: Book) -> None:
    book.register("alice", "device 0", PASSWORD)
    for number in range(1, rooms.MOST_KEYS):
        assert book.holds(book.register("alice", f"device {number}", PASSWORD))
    assert book.register("alice", "one more", PASSWORD).why is Why.LIMIT


def test_the_key_takes_itself_back(book: Book) -> None:
    answer = book.register("alice", "laptop")
    number = book.registry.revocations.number
    assert book.revoke("alice", "mallory").why is Why.TAKEN
    assert book.revoke("nobody", "laptop").why is Why.TAKEN
    assert book.holds(answer)
    assert book.revoke("alice", "laptop") == Revoked(1)
    assert not book.holds(answer)
    assert book.registry.revocations.number == number + 1
    assert book.register("alice", "laptop").why is Why.TAKEN  # a thief has the key, too


def test_a_key_that_was_taken_back_comes_back_with_the_password(book: Book) -> None:
    book.register("alice", "laptop", PASSWORD)
    book.revoke("alice", "laptop")
    assert book.holds(book.register("alice", "laptop", PASSWORD))


def test_a_lost_key_is_taken_back_with_the_password(book: Book) -> None:
    lost, kept = book.register("alice", "lost", PASSWORD), book.register("alice", "kept", PASSWORD)
    assert book.revoke("alice", "new", "wrong password").why is Why.TAKEN
    assert book.revoke("alice", "kept", PASSWORD) == Revoked(1)
    assert (book.holds(lost), book.holds(kept)) == (False, True)
    assert book.revoke("alice", "new", PASSWORD) == Revoked(1)  # both are lost
    assert not book.holds(kept)
    assert book.holds(book.register("alice", "new", PASSWORD))


def test_what_ended_leaves_the_list(book: Book) -> None:
    book.register("alice", "laptop")
    book.revoke("alice", "laptop")
    assert len(book.registry.revocations.serials) == 1
    book.now += LIFE / 2
    book.register("bob", "bobs")
    book.now += LIFE / 2 + 1
    book.revoke("bob", "bobs")
    assert len(book.registry.revocations.serials) == 1


def test_the_list_never_grows_beyond_its_size(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "_MOST_REVOKED", 2)
    for number in range(4):
        book.now += DAY
        last = book.register(f"name{number}", f"key {number}")
        book.revoke(f"name{number}", f"key {number}")
    assert len(book.registry.revocations.serials) == 2
    assert not book.holds(last)


def test_who_takes_his_own_back_all_the_time_pushes_nobody_else_out(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was stolen from alice would be good again."""
    monkeypatch.setattr(rooms, "_MOST_REVOKED", 3)
    stolen = book.register("alice", "laptop")
    book.revoke("alice", "laptop")
    book.register("mallory", "first", PASSWORD)
    for number in range(6):
        book.now += DAY
        book.register("mallory", f"key {number}", PASSWORD)
        book.revoke("mallory", f"key {number}")
    assert len(book.registry.revocations.serials) == 3
    assert not book.holds(stolen)


def test_a_name_is_free_half_a_year_after_its_last_certificate(book: Book) -> None:
    book.register("alice", "laptop")
    book.now += LIFE + 179 * DAY
    assert book.register("alice", "mallory").why is Why.TAKEN
    book.now += 2 * DAY
    assert book.holds(book.register("alice", "mallory"))
    assert book.register("alice", "laptop").why is Why.TAKEN


def test_all_of_it_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "login.sqlite"
    book = Book(path)
    answer, ours = book.register("alice", "laptop", PASSWORD), book.registry.issuer.authority
    book.register("eve", "eves")
    book.revoke("eve", "eves")
    revoked = book.registry.revocations
    book.registry.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = Book(path)
    assert again.registry.issuer.authority == ours
    assert again.registry.revocations.number == revoked.number
    assert again.registry.revocations.serials == revoked.serials
    assert again.holds(answer)
    assert again.register("alice", "mallory").why is Why.TAKEN
    again.registry.close()
    assert PASSWORD.encode() not in path.read_bytes()


def test_a_refused_claim_leaves_nothing_behind(book: Book) -> None:
    claim = Claim.sign(Deed.REGISTER, "alice", key("a"), bytes(32), book.registry.issuer.authority)
    refusal = book.registry.do(claim, NOW, lambda: False)
    assert isinstance(refusal, Refusal)
    assert refusal.why is Why.LIMIT
    assert book.holds(book.register("alice", "b"))


@pytest.mark.parametrize("content", [b"junk" * 300, None])
def test_a_file_that_is_not_ours_is_never_replaced(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "login.sqlite"
    if content is None:
        import sqlite3

        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE mine (x)")
        other.close()
    else:
        path.write_bytes(content)
    path.chmod(0o600)
    before = path.read_bytes()
    with pytest.raises(HostError):
        Registry(path, NOW)
    if content is not None:
        assert path.read_bytes() == before


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    Registry(tmp_path / "login.sqlite", NOW).close()
    (tmp_path / "login.sqlite").chmod(0o644)
    with pytest.raises(HostError, match="chmod 600"):
        Registry(tmp_path / "login.sqlite", NOW)


def test_of_two_services_one_has_the_file(tmp_path: Path) -> None:
    first = Registry(tmp_path / "login.sqlite", NOW)
    with pytest.raises(HostError, match="locked"):
        Registry(tmp_path / "login.sqlite", NOW)
    first.close()


def test_no_hash_fits_no_password() -> None:
    passwords = Passwords()
    known = passwords.hash(PASSWORD)
    assert known.startswith("$argon2id$")
    assert passwords.fits(PASSWORD, known)
    assert not passwords.fits("wrong password", known)
    assert not passwords.fits(PASSWORD, None)
    assert not passwords.fits(PASSWORD, "damaged")


def test_a_challenge_is_good_for_two_minutes_and_here() -> None:
    ours = Challenges(bytes(32))
    given = ours.give(1000.0)
    assert ours.good(given, 1000.0)
    assert ours.good(given, 1119.0)
    assert not ours.good(given, 1121.0)
    assert not ours.good(given, 990.0)
    assert not Challenges(b"x" * 32).good(given, 1000.0)
    assert not ours.good(bytes(32), 1000.0)


def test_guesses_are_counted_for_the_address_and_for_the_name() -> None:
    limits = Limits()
    home = ip_address("192.0.2.1")
    assert [limits.guess(home, f"name{n}", 0) for n in range(12)].count(True) == 10
    limits = Limits()
    many: list[IPv4Address | IPv6Address] = [ip_address(f"2001:db8:0:{n:x}::1") for n in range(20)]
    assert [limits.guess(each, "alice", 0) for each in many].count(True) == 5
    assert limits.guess(many[0], "bob", 0)
    limits = Limits()
    one_house: list[IPv4Address | IPv6Address] = [ip_address(f"2001:db8::{n:x}") for n in range(40)]
    assert [limits.new_name(each, 0) for each in one_house].count(True) == 30


# Over HTTP


class World:
    """A service that listens, and people who ask it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        settings = TrackerSettings(host="127.0.0.1", port=0, udp=False, login=folder / "service")
        self.service = TrackerService(settings)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.service.port}"

    @property
    def login(self) -> Login:
        assert self.service.login is not None
        return self.service.login

    def somebody(self, name: str) -> Identity:
        return Identity.load(self.folder / name)

    async def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, bytes]:
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.url + path, data=body, headers=said) as response,
        ):
            return response.status, await response.read()

    async def claim(self, **changes: Any) -> tuple[int, bytes]:
        """One of alice, but for something."""
        _, body = await self.ask("GET", "/login/challenge")
        made = Claim.sign(
            Deed.REGISTER, "alice", key("laptop"), read_challenge(body), self.login.authority
        )
        deed = changes.pop("deed", Deed.REGISTER)
        kind = changes.pop("kind", "application/json")
        body = replace(made, **changes).encode()
        return await self.ask("POST", f"/login/{deed}", body, Content_Type=kind)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    await world.service.start()
    yield world
    await world.service.aclose()


async def registered(world: World, name: str, password: str = "") -> Identity:
    identity, service = world.somebody(name), LoginService(world.url)
    try:
        await service.register(identity, name, password)
    finally:
        await service.aclose()
    return identity


async def test_somebody_gets_a_name_and_keeps_it(world: World) -> None:
    alice = await registered(world, "alice")
    assert (alice.name, alice.login, alice.authority) == ("alice", world.url, world.login.authority)
    again = world.somebody("alice")
    assert again.certificate == alice.certificate
    again.authority.check(again.certificate, again.certificate.begins, again.revoked)  # type: ignore[union-attr, arg-type]


async def test_a_name_is_taken_once_also_when_two_want_it_at_once(world: World) -> None:
    async def wants(number: int) -> None:
        service = LoginService(world.url)
        try:
            await service.register(world.somebody(f"device {number}"), "alice")
        finally:
            await service.aclose()

    ends = await asyncio.gather(*map(wants, range(4)), return_exceptions=True)
    assert ends.count(None) == 1
    assert all("the name is taken" in str(end) for end in ends if end is not None)


async def test_a_lost_device_is_taken_back_and_everybody_hears_of_it(world: World) -> None:
    lost = await registered(world, "alice", PASSWORD)
    phone, service = world.somebody("phone"), LoginService(world.url)
    await service.register(phone, "Alice", PASSWORD)
    assert await service.revoke(phone, "alice", PASSWORD) == 1
    await service.aclose()
    assert phone.authority is not None
    assert lost.certificate is not None
    with pytest.raises(FormatError, match="revoked"):
        phone.authority.check(lost.certificate, lost.certificate.begins, phone.revoked)


async def test_the_fingerprint_in_the_url_is_checked(world: World) -> None:
    assert world.service.login_url == f"{world.url}#{world.login.authority.fingerprint}"
    service = LoginService(world.service.login_url)
    await service.introduce(world.somebody("alice"))
    await service.aclose()
    for wrong in (authority().fingerprint, "abc"):
        service = LoginService(f"{world.url}/#{wrong}")
        with pytest.raises(NetworkError, match="not that one"):
            await service.introduce(world.somebody("bob"))
        await service.aclose()
    assert world.somebody("bob").authority is None


async def test_another_authority_at_the_same_place_is_an_error(world: World) -> None:
    alice, service = world.somebody("alice"), LoginService(world.url)
    alice.trust(authority(), world.url)
    with pytest.raises(HostError, match="another authority"):
        await service.register(alice, "alice")
    await service.aclose()


async def test_over_the_internet_no_first_word_and_no_password_without_tls(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from p2pswarm.formats.zones import Zone

    monkeypatch.setattr("p2pswarm.discovery.client.zone_of", lambda host: Zone.INTERNET)
    service, alice = LoginService(world.url), world.somebody("alice")
    with pytest.raises(NetworkError, match="use https"):
        await service.introduce(alice)
    await service.aclose()
    service = LoginService(world.service.login_url or "")
    with pytest.raises(NetworkError, match="no password"):
        await service.register(alice, "alice", PASSWORD)
    await service.register(alice, "alice")
    await service.aclose()


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 200),
        ({"name": "mallory"}, 400),
        ({"key": key("mallory").public}, 400),
        ({"challenge": bytes(32)}, 400),
        ({"signature": bytes(64)}, 400),
        ({"deed": Deed.REVOKE}, 400),
        ({"name": "Alice"}, 400),
        ({"name": "x" * 70}, 400),
        ({"password": "short"}, 400),
        ({"password": "x" * 300}, 400),
        ({"password": "surrogate \ud800"}, 400),
        ({"password": "x" * 9000}, 400),
    ],
)
async def test_a_claim_is_proven_or_refused(
    world: World, changes: dict[str, Any], status: int
) -> None:
    assert (await world.claim(**changes))[0] == status


async def test_a_proof_for_another_service_proves_nothing_here(world: World) -> None:
    _, body = await world.ask("GET", "/login/challenge")
    claim = Claim.sign(Deed.REGISTER, "alice", key("a"), read_challenge(body), authority())
    path, kind = "/login/register", "application/json"
    assert (await world.ask("POST", path, claim.encode(), Content_Type=kind))[0] == 400


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"[" * 8000, b'{"name": 7}', b'{"name": "alice"}', b"\xff", b"1" * 8000],
)
async def test_junk_is_refused(world: World, body: bytes) -> None:
    status, answer = await world.ask(
        "POST", "/login/register", body, Content_Type="application/json"
    )
    assert (status, Refusal.read(answer).why) == (400, Why.BAD)


async def test_a_page_of_somebody_else_cannot_claim(world: World) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert (await world.claim(kind=kind))[0] == 400
    assert (await world.ask("OPTIONS", "/login/register"))[0] == 405
    assert (await world.ask("GET", "/login/register"))[0] == 405
    assert (await world.ask("POST", "/login/challenge", b"{}"))[0] == 405
    assert (await world.ask("GET", "/login/login.sqlite"))[0] == 404


async def test_a_body_that_is_too_long_is_not_read(world: World) -> None:
    status, _ = await world.ask(
        "POST", "/login/register", b"x" * 9000, Content_Type="application/json"
    )
    assert status == 400

    async def endless() -> AsyncIterator[bytes]:
        yield b"{"

    async with aiohttp.ClientSession() as session:
        headers = {"Content-Type": "application/json"}
        url = world.url + "/login/register"
        async with session.post(url, data=endless(), headers=headers) as response:
            assert response.status == 400


async def test_who_hangs_up_in_the_middle_of_a_claim_is_nothing_for_the_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A traceback for each of them filled the disk."""
    _, writer = await asyncio.open_connection("127.0.0.1", world.service.port)
    writer.write(
        b"POST /login/register HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 100\r\n\r\n{"
    )
    await world.ask("GET", "/login/challenge")  # by then it reads
    writer.transport.abort()
    for _ in range(3):
        await world.ask("GET", "/login/challenge")
    assert [each for each in caplog.records if each.levelname == "ERROR"] == []


async def test_wrong_passwords_run_out_and_the_key_does_not_care(world: World) -> None:
    await registered(world, "alice", PASSWORD)
    stranger, service = world.somebody("mallory"), LoginService(world.url)
    said = []
    for number in range(6):
        with pytest.raises((NameTakenError, RefusedError)) as error:
            await service.register(stranger, "alice", f"password {number}")
        said.append(str(error.value))
    assert "too many passwords" in said[-1]
    with pytest.raises(RefusedError, match="too many passwords"):
        await service.register(stranger, "alice", PASSWORD)  # the right one tells no more
    await service.register(world.somebody("alice"), "alice")
    await service.aclose()


async def test_too_many_claims_are_told_to_wait(world: World) -> None:
    statuses = [400]
    while statuses[-1] == 400 and len(statuses) < 200:  # in each second one more is let in
        statuses.append((await world.claim(signature=bytes(64)))[0])
    assert 60 <= statuses[1:].count(400) < 120
    assert statuses[-1] == 429


async def test_who_comes_when_many_wait_is_told_so(world: World) -> None:
    world.login._waiting = 32
    assert (await world.claim())[0] == 503
    world.login._waiting = 0
    assert (await world.claim())[0] == 200


async def test_a_disk_that_fails_is_told_and_nothing_is_promised(world: World) -> None:
    world.login._open._sql.execute("PRAGMA query_only = 1")
    status, answer = await world.claim()
    assert (status, Refusal.read(answer).why) == (503, Why.BUSY)
    world.login._open._sql.execute("PRAGMA query_only = 0")
    assert (await world.claim())[0] == 200


async def test_secrets_are_in_no_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    world.login._open._sql.execute("PRAGMA query_only = 1")
    await world.claim(password=PASSWORD)
    world.login._open._sql.execute("PRAGMA query_only = 0")
    await registered(world, "alice", PASSWORD)
    seed = world.somebody("alice").key.seed.hex()
    assert PASSWORD not in caplog.text
    assert seed not in caplog.text


async def test_without_the_flag_there_is_no_service(tmp_path: Path) -> None:
    service = TrackerService(TrackerSettings(host="127.0.0.1", port=0, udp=False))
    await service.start()
    client = LoginService(f"http://127.0.0.1:{service.port}")
    with pytest.raises(NetworkError, match="there is no login service"):
        await client.introduce(Identity.load(tmp_path))
    await client.aclose()
    await service.aclose()
    assert service.login_url is None


async def test_a_start_that_fails_lets_the_names_go(world: World, tmp_path: Path) -> None:
    settings = TrackerSettings(
        host="127.0.0.1", port=world.service.port, udp=False, login=tmp_path / "other"
    )
    with pytest.raises(PortTakenError):
        await TrackerService(settings).start()
    Registry(tmp_path / "other" / "login.sqlite", NOW).close()


def test_what_a_person_is_shown_has_no_control_characters() -> None:
    told = Refusal.read(json.dumps({"error": "bad", "text": "\x1b[31mred\n" + "x" * 900}).encode())
    assert told.text.isprintable()
    assert len(told.text) == 200
