"""The options of `create`: what the new torrent says, what it holds, and which generation it is."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from p2pswarm.config import FLAG, PATH, TEXT, Unit, about, format_size, parse_size
from p2pswarm.formats import globs

__all__ = ["Creation"]

_MIN_PIECE, _MAX_PIECE = 16 << 10, 32 << 20


def _parse_piece_length(text: str) -> int:
    size = parse_size(text)
    if not _MIN_PIECE <= size <= _MAX_PIECE or size & (size - 1):
        raise ValueError(f"{text!r} is not a power of two from 16KiB to 32MiB")
    return size


def _parse_tracker(text: str) -> str:
    parts = urlsplit(text)  # raises ValueError by itself for a broken [v6] address or port
    if parts.scheme not in {"http", "https", "udp"} or not parts.hostname or not _clean(text):
        raise ValueError(
            f"{text!r} is not a tracker's URL, such as http://example.org:6969/announce"
        )
    if parts.port is None and parts.scheme == "udp":
        raise ValueError(f"{text!r} names no port, as a tracker's URL with udp has to")
    return text


def _parse_web_seed(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not _clean(text):
        raise ValueError(f"{text!r} is not a web seed's URL, such as https://example.org/files/")
    return text


def _parse_glob(text: str) -> str:
    if not text.strip("/"):
        raise ValueError("a glob such as '*.nfo' is needed")
    globs.matches(text, ())
    return text


def _clean(text: str) -> bool:
    return text.isprintable() and " " not in text


_TRACKER = Unit("URL", _parse_tracker)
_WEB_SEED = Unit("URL", _parse_web_seed)
_GLOB = Unit("GLOB", _parse_glob)
_SAME = Unit("HASH|TORRENT", str)


@dataclass(frozen=True)
class Creation:
    """What a new torrent says. Without a choice it is of version 1: older clients read nothing else."""

    v1: bool = field(
        default=False,
        metadata=about(FLAG, "version 1, what every client reads; the default", instead_of="kind"),
    )
    hybrid: bool = field(
        default=False,
        metadata=about(FLAG, "versions 1 and 2 in one torrent", instead_of="kind"),
    )
    v2: bool = field(
        default=False,
        metadata=about(FLAG, "version 2 only (BEP 52): SHA-256, per file", instead_of="kind"),
    )
    tracker: tuple[str, ...] = field(
        default=(), metadata=about(_TRACKER, "announce here; may be repeated", repeat=True)
    )
    web_seed: tuple[str, ...] = field(
        default=(),
        metadata=about(
            _WEB_SEED,
            "the data lies here too; for a folder a URL that ends with /; may be repeated",
            repeat=True,
        ),
    )
    piece_length: int | None = field(
        default=None,
        metadata=about(
            Unit("SIZE", _parse_piece_length, format_size),
            "bytes in a piece, a power of two",
            shown="256KiB, more for data above 1GiB",
        ),
    )
    exclude: tuple[str, ...] = field(
        default=(),
        metadata=about(
            _GLOB, "leave out what this means, at any depth; may be repeated", repeat=True
        ),
    )
    include: tuple[str, ...] = field(
        default=(),
        metadata=about(_GLOB, "take this in spite of --exclude; may be repeated", repeat=True),
    )
    private: bool = field(
        default=False, metadata=about(FLAG, "only the trackers may tell of peers")
    )
    comment: str = field(default="", metadata=about(TEXT, "a note for whoever opens it"))
    source: str = field(
        default="", metadata=about(TEXT, "where it comes from; changes the info-hash")
    )
    similar: tuple[str, ...] = field(
        default=(),
        metadata=about(
            _SAME,
            "this torrent has files in common with it, by info-hash or .torrent file; may be repeated",
            repeat=True,
        ),
    )
    collection: tuple[str, ...] = field(
        default=(),
        metadata=about(
            TEXT,
            "torrents of this collection have files in common; may be repeated",
            repeat=True,
        ),
    )
    follow_symlinks: bool = field(
        default=False, metadata=about(FLAG, "take what symbolic links point to", instead_of="links")
    )
    keep_symlinks: bool = field(
        default=False,
        metadata=about(
            FLAG, "keep symbolic links inside the folder as links (BEP 47)", instead_of="links"
        ),
    )
    reuse_pieces: Path | None = field(
        default=None,
        metadata=about(
            PATH, "an older torrent of the same folder: files untouched since are not hashed again"
        ),
    )
    date: bool = field(
        default=True,
        metadata=about(FLAG, "write when it was made; without, the same input is the same file"),
    )
