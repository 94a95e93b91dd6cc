"""`id` and `register`: who the user is to others, and how he comes to his name."""

import json
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from p2pswarm.cli.exits import CommandError, Exit, UsageError
from p2pswarm.cli.obeying import Outgoing
from p2pswarm.cli.options import Keeping, Listing, NameArgument, Progress, Registering
from p2pswarm.cli.report import Report
from p2pswarm.cli.running import Stop, run
from p2pswarm.cli.text import counted, say, tell_result
from p2pswarm.config import Settings
from p2pswarm.errors import FormatError, NetworkError
from p2pswarm.net.binding import bound_addresses

if TYPE_CHECKING:
    from p2pswarm.formats.people.certificate import Certificate
    from p2pswarm.identity import Identity
    from p2pswarm.registering import LoginService

__all__ = ["id", "identity_in", "name_of", "register"]


def id(keeping: Keeping, listing: Listing) -> Exit:  # noqa: A001 - the name of the command
    """Show who you are to others: your key and your name.

    A key is made if there is none. On stderr, what is not as it should be: no name yet, or a certificate that
    has to be renewed.
    """
    identity = identity_in(keeping.data_dir)
    facts = _facts(identity)
    if listing.json:
        tell_result(json.dumps(facts))
    else:
        for key, value in facts.items():
            if value is not None:
                tell_result(f"{key}\t{value}")
    if identity.name is None:
        say("no name yet: p2pswarm register NAME --login URL")
    else:
        _warn(identity)
    return Exit.OK


def register(
    name: NameArgument, registering: Registering, settings: Outgoing, progress: Progress
) -> Exit:
    """Take a name at a login service, or renew the certificate of yours.

    The first key that asks has the name. Nothing but registering, renewing and taking back needs the service:
    you are found and called without it.
    """
    _check_password(registering.password)
    with Report(progress) as report:
        return run(partial(_register, name, registering, settings, report), at_once=report.abandon)


def identity_in(data_dir: Path) -> "Identity":
    """Who we are, by this data folder. Raises DiskError, HostError."""
    from p2pswarm.identity import FOLDER, Identity

    return Identity.load(data_dir / FOLDER)


def name_of(text: str) -> str:
    """A name in its one spelling. Raises UsageError."""
    from p2pswarm.formats.people.names import parse_name

    try:
        return parse_name(text)
    except FormatError as error:
        raise UsageError(str(error)) from error


async def _register(
    name: str, registering: Registering, settings: Settings, report: Report, stop: Stop
) -> Exit:
    from p2pswarm.registering import LoginService

    name, identity = name_of(name), identity_in(settings.data_dir)
    login = registering.login or identity.login
    if not login:
        raise UsageError("no login service is known: --login URL says where names are registered")
    if identity.name not in (None, name) and not identity.is_revoked and not registering.revoke:
        raise CommandError(f"your name is {identity.name}: one key has one name", Exit.ERROR)
    try:
        service = LoginService(login, hosts=bound_addresses(settings.bind))
    except NetworkError as error:
        raise UsageError(f"--login: {error}") from error
    act = _take_back if registering.revoke else _take
    try:
        await stop.unless(act(service, identity, name, registering.password, report))
    finally:
        await service.aclose()
    return Exit.OK


async def _take(
    service: "LoginService", identity: "Identity", name: str, password: str, report: Report
) -> None:
    certificate = await service.register(identity, name, password)
    report.note(f"{name} is yours until {_date(certificate)}, says {service.url}")
    report.note(f"its authority is {identity.authority and identity.authority.fingerprint}")
    report.result(name, **_facts(identity))


async def _take_back(
    service: "LoginService", identity: "Identity", name: str, password: str, report: Report
) -> None:
    count = await service.revoke(identity, name, password)
    report.note(f"{counted(count, 'certificate')} of {name} taken back")
    report.result(name, revoked=count, name=name)


def _facts(identity: "Identity") -> dict[str, object]:
    held, authority = identity.certificate, identity.authority
    return {
        "name": identity.name,
        "key": identity.key.public.hex(),
        "until": None if held is None else _date(held),
        "login": identity.login,
        "authority": None if authority is None else authority.fingerprint,
    }


def _warn(identity: "Identity") -> None:
    held = identity.certificate
    assert held is not None
    if identity.is_revoked:
        say("your certificate was taken back: nobody believes it any more")
    elif held.ends < time.time():
        say(f"your certificate has expired: p2pswarm register {held.name}")
    elif identity.wanes(time.time()):
        say(f"your certificate is to be renewed: p2pswarm register {held.name}")


def _check_password(password: str) -> None:
    """Raises UsageError."""
    if not password:
        return
    from p2pswarm.wire.login import LEAST_PASSWORD, MOST_PASSWORD

    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        raise UsageError(f"a password has {LEAST_PASSWORD} to {MOST_PASSWORD} characters")


def _date(certificate: "Certificate") -> str:
    return datetime.fromtimestamp(certificate.ends, UTC).strftime("%Y-%m-%d")
