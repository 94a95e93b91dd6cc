"""The options of the commands, grouped as commands use them; those of a node are `p2pswarm.config.Settings`.

`flags.py` makes flags, environment variables and help of them, `configfile.py` the TOML keys.
"""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple

import platformdirs

from p2pswarm.cli.choosing import Choosing
from p2pswarm.cli.coding import Asking, Meeting
from p2pswarm.cli.creation import Creation
from p2pswarm.cli.placing import Placing
from p2pswarm.cli.talking import Keeping, Receiving, Registering, Sending, Talking, Waiting
from p2pswarm.config import (
    ADDRESS,
    DURATION,
    FLAG,
    HOST,
    NETWORKS,
    PATH,
    PORT,
    TEXT,
    NetworkSettings,
    Settings,
    Unit,
    about,
    count,
    format_size,
    parse_size,
)
from p2pswarm.formats.ids import Address
from p2pswarm.formats.words import Kind
from p2pswarm.overlay.query import Lookup

__all__ = [
    "TABLES",
    "Argument",
    "Asking",
    "Checkup",
    "Choosing",
    "Creation",
    "DataPath",
    "Download",
    "FeedArgument",
    "FilesArgument",
    "Followers",
    "HitArgument",
    "Inquiry",
    "Keeping",
    "KeyArgument",
    "Laboratory",
    "Linking",
    "Listing",
    "Looking",
    "Meeting",
    "NameArgument",
    "NamesArgument",
    "Offering",
    "Output",
    "PathArgument",
    "Progress",
    "Publishing",
    "Receiving",
    "Registering",
    "Replacing",
    "Salted",
    "Scraping",
    "Sending",
    "Sharing",
    "SourceArgument",
    "Subscription",
    "TextArgument",
    "TorrentArgument",
    "WordsArgument",
]


class Argument(NamedTuple):
    """How a positional argument is shown."""

    metavar: str
    help: str
    required: bool = True
    is_words: bool = False  # that go to others


TorrentArgument = Annotated[Path, Argument("TORRENT", "a .torrent file")]
KeyArgument = Annotated[
    Path, Argument("KEYFILE", "the secret of whoever publishes; made if it is not there")
]
NameArgument = Annotated[str, Argument("NAME", "what somebody is called")]
NamesArgument = Annotated[str, Argument("NAMES", "to whom: a name, or several with commas between")]
FilesArgument = Annotated[list[str], Argument("FILE", "files and folders")]
TextArgument = Annotated[
    list[str],
    Argument(
        "TEXT", "what to say; standard input if nothing is said", required=False, is_words=True
    ),
]
FeedArgument = Annotated[str, Argument("FEED", "a magnet link with a public key, or such a key")]
PathArgument = Annotated[Path, Argument("PATH", "a file or folder")]
SourceArgument = Annotated[
    str,
    Argument(
        "TORRENT",
        "a .torrent file, an http(s) URL of one, a magnet link, an info-hash, or the code of a share",
        required=False,
    ),
]
WordsArgument = Annotated[
    list[str],
    Argument("WORDS", "what the name holds; after --, -WORD is what it must not", is_words=True),
]
HitArgument = Annotated[
    str, Argument("HIT", "a number of the last search, or what it printed for one")
]


def _parse_network(text: str) -> str:
    if text not in NETWORKS:
        raise ValueError(f"{text[:40]!r} is not a network: {', '.join(NETWORKS)}")
    return text


def _parse_kind(text: str) -> Kind:
    try:
        return Kind(text)
    except ValueError as error:
        raise ValueError(f"{text[:40]!r} is not a kind: {', '.join(Kind)}") from error


def _parse_lookup(text: str) -> Lookup:
    try:
        return Lookup(text)
    except ValueError as error:
        raise ValueError(f"{text[:40]!r} is not a lookup: {', '.join(Lookup)}") from error


_NETWORK = Unit("NETWORK", _parse_network)
_KIND = Unit("KIND", _parse_kind)
_LOOKUP = Unit("HOW", _parse_lookup)
_SIZE = Unit("SIZE", parse_size, format_size)


def _parse_ratio(text: str) -> float:
    digits = text.strip()
    if len(digits) > 12 or not digits.isascii() or not digits.replace(".", "", 1).isdigit():
        raise ValueError(f"{text[:40]!r} is not a ratio such as 1.5")
    return float(digits)


@dataclass(frozen=True)
class Progress:
    """What a command tells while it works."""

    json: bool = field(default=False, metadata=about(FLAG, "print events as JSON lines on stdout"))
    quiet: bool = field(default=False, metadata=about(FLAG, "print the result and errors only"))


@dataclass(frozen=True)
class Listing:
    """How a list is told."""

    json: bool = field(default=False, metadata=about(FLAG, "print one JSON object"))


@dataclass(frozen=True)
class Scraping:
    """Whether trackers are asked."""

    scrape: bool = field(
        default=False, metadata=about(FLAG, "ask the trackers how large the swarm is")
    )


@dataclass(frozen=True)
class Output:
    """Where the result goes."""

    output: Path | None = field(
        default=None,
        metadata=about(
            PATH,
            "write to this folder or, for create, file",
            short="-o",
            shown="the current folder",
        ),
    )


@dataclass(frozen=True)
class Replacing:
    """Whether a file that exists may be replaced."""

    force: bool = field(
        default=False, metadata=about(FLAG, "replace the .torrent file if it exists")
    )


@dataclass(frozen=True)
class DataPath:
    """Where the data of a torrent lies."""

    data: Path = field(
        metadata=about(PATH, "the torrent's file or folder, or the folder that holds it")
    )


@dataclass(frozen=True)
class Download:
    """How a download finds its end. `ratio` is uploaded bytes over the torrent's size."""

    peer: tuple[Address, ...] = field(
        default=(),
        metadata=about(ADDRESS, "ask this peer too; may be repeated", repeat=True),
    )
    stay: bool = field(
        default=False, metadata=about(FLAG, "go on seeding until stopped", instead_of="end")
    )
    ratio: float | None = field(
        default=None,
        metadata=about(
            Unit("R", _parse_ratio), "go on seeding until R copies are uploaded", instead_of="end"
        ),
    )
    seed_for: float | None = field(
        default=None, metadata=about(DURATION, "go on seeding for this long", instead_of="end")
    )
    timeout: float | None = field(
        default=None,
        metadata=about(
            DURATION, "give up after this long without a byte from a peer", shown="never"
        ),
    )


@dataclass(frozen=True)
class Linking:
    """What a magnet link says beside the torrent's own words."""

    peer: tuple[Address, ...] = field(
        default=(),
        metadata=about(ADDRESS, "a peer that has it, for the link; may be repeated", repeat=True),
    )


@dataclass(frozen=True)
class Sharing:
    """Where the embedded tracker of `share` is reached, and how long its code is good for."""

    host: str | None = field(
        default=None,
        metadata=about(
            HOST,
            "the address the other side reaches",
            shown="this machine's address in its network",
        ),
    )
    tracker_port: int | None = field(
        default=None,
        metadata=about(PORT, "the tracker listens here", shown="6969 or the next free one"),
    )
    code_for: float = field(
        default=3600.0,
        metadata=about(DURATION, "the short code is good for this long; 0 is no code", shown="1h"),
    )

    def __post_init__(self) -> None:
        if self.code_for > 7 * 86400:
            raise ValueError("--code-for: a code is good for a week at most")


@dataclass(frozen=True)
class Checkup:
    """What `health` looks at; both have the names under which the looked-at was told them."""

    data_dir: Path = field(
        default_factory=partial(platformdirs.user_data_path, "p2pswarm"),
        metadata=about(
            PATH, "look at the nodes with this data folder", shown="$XDG_DATA_HOME/p2pswarm"
        ),
    )
    tracker_port: int | None = field(
        default=None,
        metadata=about(PORT, "ask the tracker on this port", shown="6969 where no node is at work"),
    )


@dataclass(frozen=True)
class Looking:
    """What a search looks for, and where."""

    via: tuple[str, ...] = field(
        default=(),
        metadata=about(
            _NETWORK,
            "search in this network: gnutella, napster or supernode, or several with commas between; "
            "may be repeated",
            repeat=True,
            commas=True,
            shown="all that are set up",
        ),
    )
    kind: Kind = field(
        default=Kind.ANY,
        metadata=about(
            _KIND,
            "only files that are audio, video, image, document, archive or software",
            shown="any",
        ),
    )
    min_size: int = field(default=0, metadata=about(_SIZE, "no smaller files", shown="any"))
    max_size: int | None = field(
        default=None, metadata=about(_SIZE, "no larger files", shown="any")
    )
    limit: int = field(
        default=100, metadata=about(count(1, 10_000), "at most so many hits of each network")
    )
    lookup: Lookup = field(
        default=Lookup.RECURSIVE,
        metadata=about(
            _LOOKUP,
            "recursive: the network asks on for us; iterative: we ask one host after the other",
        ),
    )

    def __post_init__(self) -> None:
        if self.max_size is not None and self.max_size < self.min_size:
            raise ValueError("--max-size is less than --min-size")


@dataclass(frozen=True)
class Inquiry:
    """How somebody is looked up."""

    lookup: Lookup = field(
        default=Lookup.ITERATIVE,
        metadata=about(
            _LOOKUP,
            "iterative: we ask one super node after the other; recursive: ours asks on for us, which goes "
            "without UDP",
        ),
    )


@dataclass(frozen=True)
class Offering:
    """Where a share is found besides."""

    on: tuple[str, ...] = field(
        default=(),
        metadata=about(
            _NETWORK,
            "offer every file in this network, too: gnutella, napster or supernode, or several with "
            "commas between; may be repeated",
            repeat=True,
            commas=True,
        ),
    )


@dataclass(frozen=True)
class Salted:
    """Which one of those that one key may have."""

    salt: str = field(
        default="", metadata=about(TEXT, "one of the items that this key may have, by its name")
    )

    def __post_init__(self) -> None:
        if len(self.salt.encode()) > 64:
            raise ValueError("--salt has more than 64 bytes")


@dataclass(frozen=True)
class Publishing(Salted):
    """Whose item of the DHT it is."""

    key: Path | None = field(
        default=None,
        metadata=about(
            PATH, "put it as the holder of the key in this file, which is made if it is not there"
        ),
    )


@dataclass(frozen=True)
class Followers:
    """Whom to ask for a feed, and for how long."""

    peer: tuple[Address, ...] = field(
        default=(),
        metadata=about(ADDRESS, "ask this follower too; may be repeated", repeat=True),
    )
    timeout: float | None = field(
        default=None,
        metadata=about(DURATION, "give up after this long without news", shown="never; feed: 10 s"),
    )


@dataclass(frozen=True)
class Subscription(Followers):
    """How much of a feed is followed."""

    once: bool = field(default=False, metadata=about(FLAG, "end when the newest release is here"))


@dataclass(frozen=True)
class Laboratory:
    """What an experiment is made on, how much of it, and where its pictures go."""

    topology: str | None = field(
        default=None,
        metadata=about(
            TEXT,
            "who is connected: p2p-Gnutella08, p2p-Gnutella31, random, two-tier, supernodes, "
            "or a file of edges as SNAP publishes them",
            shown="what the experiment is about",
        ),
    )
    nodes: int | None = field(
        default=None,
        metadata=about(
            count(500, 1_000_000), "nodes of a network that is made; a crawl has its own"
        ),
    )
    origins: int | None = field(
        default=None,
        metadata=about(
            count(1, 1_000_000), "nodes that ask, drawn by the dice", shown="few, for a quick run"
        ),
    )
    queries: int | None = field(
        default=None,
        metadata=about(count(1, 1_000_000), "questions asked", shown="few, for a quick run"),
    )
    seed: int = field(
        default=1, metadata=about(count(0, 1 << 32), "decides every throw of the dice")
    )
    out: Path | None = field(
        default=None,
        metadata=about(
            PATH,
            "write report.html, results.json and the plots into this folder",
            short="-o",
            shown="tables on stdout only",
        ),
    )


TABLES = (
    Settings,
    NetworkSettings,
    Looking,
    Offering,
    Listing,
    Progress,
    Output,
    Creation,
    Replacing,
    DataPath,
    Download,
    Choosing,
    Placing,
    Sharing,
    Meeting,
    Asking,
    Checkup,
    Publishing,
    Subscription,
    Keeping,
    Registering,
    Receiving,
    Sending,
    Waiting,
    Laboratory,
    Talking,
)
