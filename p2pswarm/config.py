"""Settings: what a user may choose about a node, with the words and units for it.

Each field carries its help text and its `Unit`. The command line makes its flags, its `P2PSWARM_…`
variables, its TOML keys and its help from them (`cli/flags.py`); a program that writes `Settings(...)` reads
neither the environment nor a file. Sizes count in bytes, rates in bytes per second, times in seconds;
`KiB` is 1024 bytes and `kB` is 1000. Every ValueError raised here is one line for the person who reads it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import platformdirs

from p2pswarm.errors import FormatError
from p2pswarm.formats.ids import Address
from p2pswarm.net.binding import ANY
from p2pswarm.overlay.supernode import options as supernode

__all__ = [
    "ADDRESS",
    "DURATION",
    "FLAG",
    "HOST",
    "LIMIT",
    "NETWORKS",
    "PATH",
    "PORT",
    "TEXT",
    "NetworkSettings",
    "Settings",
    "Unit",
    "about",
    "count",
    "format_duration",
    "format_rate",
    "format_share",
    "format_size",
    "help_of",
    "in_one_unit",
    "parse_count",
    "parse_duration",
    "parse_rate",
    "parse_size",
    "unit_of",
    "word_of",
]

ENCRYPTION = ("prefer", "require", "off")
"""Whether the handshake with a peer is hidden."""
TRANSPORTS = ("both", "tcp", "utp")
"""By what peers are connected."""
DHT_ROUTERS = (
    Address("router.bittorrent.com", 6881),
    Address("dht.transmissionbt.com", 6881),
    Address("dht.libtorrent.org", 25401),
    Address("router.utorrent.com", 6881),
)
"""Where the distributed table is entered by whoever knows nobody in it."""
ROLES = ("auto", "leaf", "ultrapeer")
"""What a Gnutella node may be to others; `auto` is settled with them."""
NETWORKS = ("gnutella", "napster", "supernode")
"""Where files can be searched and offered."""

_MAX_TEXT = 40  # characters of a number; 2**63 has 19 digits
_MAX_SIZE = 1 << 63
_MAX_DURATION = 100 * 365 * 86400  # seconds; a hundred years is "for ever"
_SIZE = re.compile(r"([0-9]+)(\.[0-9]+)?\s*(?:([kmgtpe]?)(i?)(b?))", re.ASCII | re.IGNORECASE)
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?[dhms])+", re.ASCII | re.IGNORECASE)
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)([dhms])", re.ASCII | re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?", re.ASCII)
_PREFIXES = " kmgtpe"
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def parse_size(text: str) -> int:
    """Bytes of '256KiB', '1.5GiB', '10MB' (1000-based), '64M' (1024-based) or '4096'. Raises ValueError."""
    match = _SIZE.fullmatch(text.strip()) if len(text) <= _MAX_TEXT else None
    if match is None:
        raise ValueError(f"{text[:_MAX_TEXT]!r} is not a size such as 256KiB, 1.5GiB or 4096")
    whole, rest, prefix, binary, unit = match.groups()
    if (rest and not prefix) or (binary and not prefix):
        raise ValueError(f"{text!r} is not a size such as 256KiB, 1.5GiB or 4096")
    base = 1000 if unit and not binary else 1024
    size = int(Fraction(whole + (rest or "")) * base ** _PREFIXES.index(prefix.lower() or " "))
    if size >= _MAX_SIZE:
        raise ValueError(f"{text!r} is more than 8 EiB")
    return size


def parse_rate(text: str) -> int:
    """Bytes per second of '2MiB/s' or '2MiB'; 0 means unlimited. Raises ValueError."""
    try:
        return parse_size(text.strip().removesuffix("/s"))
    except ValueError as error:
        raise ValueError(str(error).replace("a size such as", "a rate such as")) from error


def parse_duration(text: str) -> float:
    """Seconds of '30m', '1h30m', '2d', '1.5h' or '90'. Raises ValueError."""
    text = text.strip()
    if len(text) > _MAX_TEXT or not (_NUMBER.fullmatch(text) or _DURATION.fullmatch(text)):
        raise ValueError(f"{text[:_MAX_TEXT]!r} is not a duration such as 30m, 1h30m or 90")
    parts = _DURATION_PART.findall(text) or [(text, "s")]
    seconds = sum(float(number) * _SECONDS[unit.lower()] for number, unit in parts)
    if seconds > _MAX_DURATION:
        raise ValueError(f"{text!r} is more than a hundred years")
    return seconds


def parse_count(text: str) -> int:
    """A whole number in ASCII digits. Raises ValueError."""
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise ValueError(f"{text[:_MAX_TEXT]!r} is not a whole number")
    return int(text)


def format_size(size: float) -> str:
    """'999 B', '256.0 KiB', '1.5 GiB'."""
    scale, unit = _scale(size)
    return f"{size:.0f} B" if unit == "B" else f"{size / scale:.1f} {unit}"


def format_rate(rate: float) -> str:
    """'48.2 MiB/s'."""
    return f"{format_size(rate)}/s"


def format_share(done: int, total: int) -> str:
    """'13.1/32.0 MiB': both in the unit of the larger one."""
    one, other, unit = in_one_unit(done, total)
    return f"{one}/{other} {unit}"


def in_one_unit(one: float, other: float) -> tuple[str, str, str]:
    """Two sizes in the unit of the larger one, and that unit: ('13.1', '32.0', 'MiB')."""
    scale, unit = _scale(max(one, other))
    digits = 0 if unit == "B" else 1
    return f"{one / scale:.{digits}f}", f"{other / scale:.{digits}f}", unit


def format_duration(seconds: float | None) -> str:
    """'0:07', '12:03', '1:02:03', '2d 01:02:03'; '-' for None and for what never ends."""
    if seconds is None or not 0 <= seconds <= _MAX_DURATION:
        return "-"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d {hour:02}:{minute:02}:{second:02}"
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"


def _scale(size: float) -> tuple[int, str]:
    """The largest unit in which `size` does not read as 0.x; 1023.96 KiB is already 1.0 MiB."""
    scale, units = 1, ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    while size / scale >= (1023.95 if scale > 1 else 1023.5) and len(units) > 1:
        scale *= 1024
        units.pop(0)
    return scale, units[0]


@dataclass(frozen=True)
class Unit:
    """How a value is written: its name in the help, from text, to text, and which ones are right."""

    metavar: str
    parse: Callable[[str], Any]  # raises ValueError
    show: Callable[[Any], str] = str
    check: Callable[[Any], object] = lambda value: value  # raises ValueError

    def read(self, text: str) -> Any:
        """The value that `text` stands for. Raises ValueError."""
        value = self.parse(text)
        self.check(value)
        return value


def count(low: int, high: int, metavar: str = "N") -> Unit:
    """Whole numbers from `low` to `high`."""

    def check(value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"{value!r} is not a whole number from {low} to {high}")

    return Unit(metavar, parse_count, str, check)


def _parse_host(text: str) -> str:
    host = text.strip().removeprefix("[").removesuffix("]")
    if not host or not host.isascii() or not host.isprintable() or " " in host:
        raise ValueError(f"{text[:_MAX_TEXT]!r} is not an address or host name")
    return host


def _parse_text(text: str) -> str:
    """File names may have bytes that are not UTF-8; what is told to others may not."""
    if any("\ud800" <= each <= "\udfff" for each in text):
        raise ValueError(f"{text[:_MAX_TEXT]!r} is not UTF-8")
    return text


def _parse_path(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError(f"{text[:_MAX_TEXT]!r} is not a path")
    try:
        return Path(text).expanduser()
    except RuntimeError:  # no such user: then it is a file that begins with ~
        return Path(text)


def _check_path(value: object) -> None:
    if not isinstance(value, Path):
        raise ValueError(f"{value!r} is not a Path")  # noqa: TRY004 - a wrong value like any other


def _parse_address(text: str) -> Address:
    try:
        return Address.parse(text)
    except FormatError as error:
        raise ValueError(str(error)) from error


def _is_word(text: str) -> bool:
    """What Napster takes for a nick or a password."""
    return text.isascii() and text.isprintable() and not {" ", '"'} & set(text)


def _parse_word(text: str) -> str:
    if not _is_word(text):
        raise ValueError(f"{text[:_MAX_TEXT]!r} is not one word of letters, digits and signs")
    return text


def _parse_secret(text: str) -> str:
    if not _is_word(text):  # and what it is, no message shows
        raise ValueError("a password is one word of letters, digits and signs")
    return text


def word_of(metavar: str, words: Sequence[str]) -> Unit:
    """One of these."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"{text[:_MAX_TEXT]!r} is not a {metavar.lower()}: {', '.join(words)}")
        return text

    return Unit(metavar, parse, str, lambda value: parse(str(value)))


def _parse_bounds(text: str) -> tuple[int, int]:
    low, dash, high = text.partition("-")
    try:
        bounds = parse_count(low), parse_count(high if dash else low)
    except ValueError as error:
        raise ValueError(f"{text[:_MAX_TEXT]!r} is not a range such as 60-150") from error
    return bounds


def _bounds(most: int) -> Unit:
    """Two numbers, as enough and as the most."""

    def check(value: object) -> None:
        match value:
            case (int(low), int(high)):
                supernode.check_bounds((low, high), most)
            case _:
                raise ValueError(f"{value!r} is not a range such as 60-150")

    return Unit("LOW-HIGH", _parse_bounds, lambda bounds: f"{bounds[0]}-{bounds[1]}", check)


_bytes = count(0, _MAX_SIZE - 1).check

TEXT = Unit("TEXT", _parse_text)
URL = Unit("URL", _parse_text)
FLAG = Unit("", str)
LIMIT = Unit("RATE", parse_rate, lambda rate: format_rate(rate) if rate else "unlimited", _bytes)
DURATION = Unit("DURATION", parse_duration, format_duration)
PORT = count(0, 65535, "PORT")
ADDRESS = Unit("HOST:PORT", _parse_address)
WORD = Unit("TEXT", _parse_word, str, lambda value: _parse_word(str(value)))
SECRET = Unit("TEXT", _parse_secret)
HOST = Unit("HOST", _parse_host, str, lambda value: _parse_host(str(value)))
PATH = Unit("PATH", _parse_path, str, _check_path)
_CHILDREN, _LINKS = _bounds(supernode.MOST_CHILDREN), _bounds(supernode.MOST_LINKS)
_ROLE = word_of("ROLE", ROLES)
_SUPERNODE_ROLE = word_of(
    "ROLE", [supernode.Wish.AUTO, supernode.Wish.ORDINARY, supernode.Wish.SUPER]
)


def about(unit: Unit, help_text: str, **more: Any) -> dict[str, Any]:
    """A dataclass field's metadata that makes an option of it.

    `more` is for the command line (`cli/flags.py` says what it knows).
    """
    return {"unit": unit, "help": help_text, **more}


def unit_of(metadata: Any) -> Unit:
    """The unit of a field described by `about`."""
    unit: Unit = metadata["unit"]
    return unit


def help_of(metadata: Any) -> str:
    """The help text of a field described by `about`."""
    return str(metadata["help"])


@dataclass(frozen=True)
class Settings:
    """What a node is told at its start; a change is a new value. Raises ValueError for a wrong one."""

    port: int | None = field(
        default=None,
        metadata=about(
            PORT, "listen here for peers; 0 takes any free port", shown="46881 or the next free one"
        ),
    )
    bind: str = field(
        default=ANY,
        metadata=about(
            HOST,
            "the local address for everything, or the network interface",
            shown="every address, IPv4 and IPv6",
        ),
    )
    encryption: str = field(
        default="prefer",
        metadata=about(
            word_of("MODE", ENCRYPTION),
            "hide the handshake with peers: prefer (and take what they offer), require, or off",
        ),
    )
    transport: str = field(
        default="both",
        metadata=about(
            word_of("KIND", TRANSPORTS),
            "connect to peers by tcp, by utp (over UDP), or by both; who connects by tcp is always taken, "
            "by utp unless this is tcp",
        ),
    )
    dht: bool = field(
        default=True, metadata=about(FLAG, "find peers without a tracker, in the distributed table")
    )
    dht_bootstrap: tuple[Address, ...] = field(
        default=DHT_ROUTERS,
        metadata=about(
            ADDRESS,
            "a node of that table to begin with; may be repeated",
            repeat=True,
            shown="those remembered, else public ones",
        ),
    )
    pex: bool = field(default=True, metadata=about(FLAG, "exchange addresses of peers with peers"))
    lsd: bool = field(default=True, metadata=about(FLAG, "find peers in the local network"))
    meet: tuple[Address, ...] = field(
        default=(),
        metadata=about(
            ADDRESS,
            "a super node that introduces peers to us whom nobody can dial, and may relay them; may be "
            "repeated",
            repeat=True,
            shown="nobody",
        ),
    )
    web_seeds: bool = field(
        default=True,
        metadata=about(FLAG, "take files from the web servers that a torrent names, too"),
    )
    up_limit: int = field(
        default=0, metadata=about(LIMIT, "send at most this much a second; 0 is unlimited")
    )
    down_limit: int = field(
        default=0, metadata=about(LIMIT, "receive at most this much a second; 0 is unlimited")
    )
    upload_slots: int = field(
        default=4, metadata=about(count(1, 1000), "peers a torrent serves at one time")
    )
    max_peers: int = field(
        default=100, metadata=about(count(1, 100_000), "connected peers a torrent has at most")
    )
    max_connections: int = field(
        default=500, metadata=about(count(1, 1_000_000), "connections of all torrents together")
    )
    memory: int = field(
        default=48 << 20,
        metadata=about(
            Unit("SIZE", parse_size, format_size, count(1 << 20, 1 << 50).check),
            "unfinished pieces held in memory at most",
        ),
    )
    disk_threads: int = field(
        default=4,
        metadata=about(
            count(0, 64), "threads that read, write and hash; 0 does it on the event loop"
        ),
    )
    data_dir: Path = field(
        default_factory=partial(platformdirs.user_data_path, "p2pswarm"),
        metadata=about(
            PATH,
            "where resume data lives, who we are, and what networks remember",
            shown="$XDG_DATA_HOME/p2pswarm",
        ),
    )

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if value is None and each.default is None:
                continue
            try:
                unit_of(each.metadata).check(value)
            except ValueError as error:
                raise ValueError(f"{each.name}: {error}") from error


@dataclass(frozen=True)
class NetworkSettings:
    """Where files are searched, and who we are there. Raises ValueError for a wrong value."""

    napster_server: Address | None = field(
        default=None, metadata=about(ADDRESS, "the Napster server to search and share at")
    )
    napster_nick: str = field(
        default="",
        metadata=about(WORD, "our name at the Napster server", shown="a guest's, made up"),
    )
    napster_password: str = field(
        default="", repr=False, metadata=about(SECRET, "the password of that name", secret=True)
    )
    connect: tuple[Address, ...] = field(
        default=(),
        metadata=about(
            ADDRESS,
            "a host to begin with: of the Gnutella network, of the one that --on or --via names, or a super "
            "node for people; may be repeated",
            repeat=True,
            shown="hosts remembered from before",
        ),
    )
    flood: bool = field(
        default=False,
        metadata=about(FLAG, "be in Gnutella as it began: every node equal, each query to all"),
    )
    gnutella_role: str = field(
        default="auto",
        metadata=about(
            _ROLE,
            "our part in Gnutella: leaf, ultrapeer (carries queries for others), or auto",
        ),
    )
    gnutella_04: bool = field(
        default=False, metadata=about(FLAG, "let programs of the old Gnutella 0.4 in, too")
    )
    wait: float = field(
        default=10.0,
        metadata=about(
            DURATION,
            "end a search without a server after this long without a new hit",
            shown="10s",
        ),
    )
    firewalled: bool = field(
        default=False,
        metadata=about(FLAG, "tell networks that nobody can connect to us; we connect instead"),
    )

    login: str = field(
        default="",
        metadata=about(
            URL,
            "the login service whose certificates count: asked once, and remembered",
            shown="the one of before",
        ),
    )
    relay: bool = field(
        default=True,
        metadata=about(
            FLAG, "as a super node: carry what two say to each other who cannot reach each other"
        ),
    )
    relay_rate: int = field(
        default=256 << 10,
        metadata=about(
            LIMIT, "as a super node: the most for two who are relayed", shown="256.0 KiB/s"
        ),
    )
    relay_total: int = field(
        default=2 << 20,
        metadata=about(
            LIMIT, "as a super node: the most for all who are relayed together", shown="2.0 MiB/s"
        ),
    )
    supernode_role: str = field(
        default="auto",
        metadata=about(
            _SUPERNODE_ROLE,
            "our part in the supernode network: ordinary (never anything else), super, or auto: "
            "super when others need one and this machine is fit for it",
        ),
    )
    supernodes: tuple[Address, ...] = field(
        default=(),
        metadata=about(
            ADDRESS,
            "the super nodes of a network with an operator: these serve and nobody else; with commas "
            "between, or repeated",
            repeat=True,
            commas=True,
            shown="whoever is fit for it",
        ),
    )
    children: tuple[int, int] = field(
        default=supernode.CHILDREN,
        metadata=about(
            _CHILDREN,
            "as a super node: look for another one from so many children on, and take so many",
            shown="60-150",
        ),
    )
    links: tuple[int, int] = field(
        default=supernode.LINKS,
        metadata=about(
            _LINKS,
            "as a super node: links to others that we look for, and that we take",
            shown="30-50",
        ),
    )
    rewire: float = field(
        default=supernode.REWIRE,
        metadata=about(
            DURATION, "as a super node: replace one link by another this often", shown="10m"
        ),
    )
    promote_after: float = field(
        default=supernode.PROMOTE_AFTER,
        metadata=about(
            DURATION,
            "be up for this long before we, or our children, become super nodes",
            shown="10m",
        ),
    )

    def __post_init__(self) -> None:
        _ROLE.check(self.gnutella_role)
        _SUPERNODE_ROLE.check(self.supernode_role)
        if self.firewalled and self.supernode_role == "super":
            raise ValueError("--firewalled: nobody could connect to such a super node")
        LIMIT.check(self.relay_rate)
        LIMIT.check(self.relay_total)
        _CHILDREN.check(self.children)
        _LINKS.check(self.links)
        if not self.rewire:
            raise ValueError("--rewire: links have to last for some time")
        if self.flood and self.gnutella_role != "auto":
            raise ValueError("--flood: where every node is equal nobody has a --gnutella-role")
        if self.firewalled and self.gnutella_role == "ultrapeer":
            raise ValueError("--firewalled: nobody could connect to such an ultrapeer")
        if not self.wait:
            raise ValueError("--wait: a search takes some time")
        if self.napster_password and not self.napster_nick:
            raise ValueError("napster_password: a password needs a napster_nick")
        _parse_word(self.napster_nick)
        _parse_secret(self.napster_password)
