"""`p2pswarm-tracker`, also `python -m tracker`: the service as a program.

Every field of `TrackerSettings` is a flag, a variable `P2PSWARM_TRACKER_…` and a key of the file
`$XDG_CONFIG_HOME/p2pswarm/tracker.toml`; the flag wins over the variable, the variable over the file.
Standard output carries the announce URL once the service listens, in the next line the one by UDP, with
`--napster` another, `napster://HOST:PORT`, and with `--login` the one that `p2pswarm register` takes. SIGTERM
and SIGINT end it; a second one at once. SIGHUP has the deny-list read again.
"""

import asyncio
import logging
import resource
import signal
import sys
import tomllib
from collections.abc import Callable
from dataclasses import Field, fields
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

import click
from platformdirs import user_config_path

from p2pswarm.errors import HostError
from p2pswarm.net.descriptors import keep_standard_descriptors
from tracker.app import TrackerService
from tracker.config import TrackerSettings

__all__ = ["main"]

_MANY_FILES = 65_536
_LONGEST_CONFIG = 1 << 20  # bytes
_EXAMPLE = "Example: p2pswarm-tracker --port 6969 --interval 900 --torrents ./torrents"


def _serve(config: Path | None, **values: Any) -> None:
    """Run a BitTorrent tracker: it introduces the peers of a swarm to each other, and hosts torrents."""
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        settings = TrackerSettings(**values)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    _allow_many_connections()
    try:
        with asyncio.Runner(loop_factory=_fast_loop()) as runner:
            runner.run(_run(settings))
    except HostError as error:
        click.echo(f"p2pswarm-tracker: {error}", err=True)
        raise click.exceptions.Exit(1) from error


async def _run(settings: TrackerSettings) -> None:
    service = TrackerService(settings)
    await service.start()
    try:
        click.echo(service.url)
        if service.udp_url is not None:
            click.echo(service.udp_url)
        if service.napster is not None:
            click.echo(service.napster.url)
        if service.login_url is not None:
            click.echo(service.login_url)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, service.reload)
        await _until_told_to_stop()
    finally:
        await service.aclose()


async def _until_told_to_stop() -> None:
    """Wait for the first signal; the second finds the usual handlers again, and ends us at once."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, told.set)
    await told.wait()
    for number in signals:
        loop.remove_signal_handler(number)


def _read_config(context: click.Context, _: click.Parameter, path: Path | None) -> Path | None:
    """The file's values become the defaults of all other options. Nobody needs to have a file."""
    file = path or user_config_path("p2pswarm") / "tracker.toml"
    try:
        with file.open("rb") as opened:
            data = opened.read(_LONGEST_CONFIG + 1)
        if len(data) > _LONGEST_CONFIG:
            raise ValueError("longer than a configuration is")  # noqa: TRY301 - said as the others
        table = tomllib.loads(data.decode())
    except (FileNotFoundError, NotADirectoryError):
        if path is not None:
            raise click.BadParameter(f"{file} does not exist") from None
        return path
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise click.BadParameter(f"{file}: {reason}") from error
    known = {field.name for field in fields(TrackerSettings)}
    for unknown in table.keys() - known:
        raise click.BadParameter(f"{file}: there is no option {unknown!r}")
    context.default_map = table
    return path


def _options() -> list[click.Parameter]:
    """One for each setting, and `--config` before them."""
    config = click.Option(
        ["--config"],
        type=click.Path(path_type=Path),
        envvar="P2PSWARM_TRACKER_CONFIG",
        show_envvar=True,
        metavar="PATH",
        is_eager=True,
        callback=_read_config,
        help="read options from this TOML file; by default p2pswarm/tracker.toml in the configuration folder",
    )
    kinds = get_type_hints(TrackerSettings)
    return [config, *(_option(field, kinds[field.name]) for field in fields(TrackerSettings))]


def _option(setting: Field[Any], kind: Any) -> click.Option:
    flag = "--" + setting.name.replace("_", "-")
    kind = next(each for each in (*get_args(kind), kind) if each is not NoneType)
    return click.Option(
        [f"{flag}/--no-{flag[2:]}" if kind is bool else flag],
        type=click.Path(path_type=Path) if kind is Path else kind,
        default=setting.default,
        show_default=setting.default is not None,
        envvar=f"P2PSWARM_TRACKER_{setting.name.upper()}",
        show_envvar=True,
        metavar=setting.metadata["unit"] or None,
        help=setting.metadata["help"],
    )


app = click.Command(
    "p2pswarm-tracker", callback=_serve, params=_options(), help=_serve.__doc__, epilog=_EXAMPLE
)


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where it is installed."""
    if find_spec("uvloop") is None:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = import_module("uvloop").new_event_loop
    return factory


def _allow_many_connections() -> None:
    """Raise the limit of open files as far as we may: five thousand idle strangers must not fill it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MANY_FILES if hard == resource.RLIM_INFINITY else min(_MANY_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main() -> None:
    # Until the service is up, SIGTERM is Ctrl-C: process 1 of a container would otherwise not hear it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    keep_standard_descriptors()
    try:
        app(prog_name="p2pswarm-tracker")
    except OSError as error:  # of standard output, on a disk that is full
        sys.stderr.write(f"p2pswarm-tracker: {error.strerror or error}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
