"""What is asked of a Napster server, in its words, and its answers as hits. Sans-IO.

A result names no port and hardly a hash. A server that knows p2pswarm says more right before the result
(`HitNote`), and then the note and the result belong together.
"""

from p2pswarm.errors import LocalProtocolError, NetworkError
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.formats.words import Kind
from p2pswarm.overlay.query import Digest, Hit, Query
from p2pswarm.wire.napster import (
    MAX_COMMAND,
    NO_MD5,
    Bounds,
    BrowseResult,
    HashLookup,
    HashMatch,
    HashSearch,
    HitNote,
    Message,
    Search,
    SearchResult,
)

__all__ = ["NAME", "Results", "fits", "local_name", "question_for", "wire_name"]

NAME = "napster"

# OpenNap searches among sounds unless a type is named, and has no word for archives.
_TYPES = {
    Kind.AUDIO: "audio",
    Kind.VIDEO: "video",
    Kind.IMAGE: "image",
    Kind.DOCUMENT: "text",
    Kind.SOFTWARE: "application",
}
_MD5, _SHA1 = 16, 20  # bytes


def wire_name(name: str) -> str:
    """Napster came from Windows; a public name of the catalog has no backslashes of its own."""
    return name.replace("/", "\\")


def local_name(name: str) -> str:
    """What the catalog is asked for when the network asks for this."""
    return "" if "/" in name else name.replace("\\", "/")


def question_for(query: Query, *, greeted: bool) -> Message:
    """The message that asks it; `greeted`: the server knows our hashes. Raises NetworkError."""
    if query.digest is not None:
        return _by_digest(query.digest, query, greeted)
    if not query.words:
        raise NetworkError("Napster needs a word to search for")
    high = Bounds().high if query.max_size is None else query.max_size
    question = Search(
        contains=" ".join(query.words),
        excludes=" ".join(query.without),
        most=query.limit,
        size=Bounds(query.min_size, high),
        type=_TYPES.get(query.kind, "any"),
    )
    if not fits(question):
        raise NetworkError("so many words are more than a Napster server reads")
    return question


def fits(message: Message) -> bool:
    """Whether it can be said, and servers read it: whoever says more is hung up on."""
    try:
        return len(message.encode()) <= MAX_COMMAND
    except LocalProtocolError:
        return False


def _by_digest(digest: Digest, query: Query, greeted: bool) -> Message:
    if digest.algorithm == "md5" and query.min_size and query.min_size == query.max_size:
        return HashLookup(digest.value.hex(), query.min_size)
    if digest.algorithm in ("sha1", "btih") and greeted:
        return HashSearch(digest.algorithm, digest.value.hex())
    raise NetworkError(f"this Napster server cannot search by {digest.algorithm}")


class Results:
    """Answers become hits. A note is remembered for the result after it, and no longer."""

    def __init__(self) -> None:
        self._note: HitNote | None = None

    def hit(self, answer: Message) -> Hit | None:
        """None for an answer that is no file."""
        note, self._note = self._note, None
        match answer:
            case HitNote():
                self._note = answer
                return None
            case SearchResult(nick=nick, name=name, ip=ip) | HashMatch(nick=nick, name=name, ip=ip):
                fits = note is not None and (note.nick, note.name) == (nick, name)
                return _hit(answer, ip, note if fits else None)
            case BrowseResult():
                return _hit(answer, None, None)
            case _:
                return None


def _hit(
    answer: SearchResult | HashMatch | BrowseResult, ip: str | None, note: HitNote | None
) -> Hit:
    port = answer.port if isinstance(answer, HashMatch) else 0
    info_hash = _digest(note.info_hash, _SHA1) if note else None
    reachable = note is not None and note.port and ip is not None
    return Hit(
        name=answer.name,
        size=answer.size,
        network=NAME,
        host=Address(ip, port) if ip is not None else None,
        nick=answer.nick,
        md5=_digest(answer.md5, _MD5),
        sha1=_digest(note.sha1, _SHA1) if note else None,
        info_hash=InfoHash(info_hash) if info_hash else None,
        peer=Address(ip, note.port) if reachable and note and ip else None,
    )


def _digest(text: str, size: int) -> bytes | None:
    """Hexadecimal digits; anything else says nothing, and so do zeros. Some add `-` and the size."""
    text = text.partition("-")[0]
    try:
        value = bytes.fromhex(text) if text != NO_MD5 else b""
    except ValueError:
        return None
    return value if len(value) == size else None
