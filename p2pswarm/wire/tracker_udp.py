"""What a client and a UDP tracker tell each other: one datagram each (BEP 15), both directions.

Before anything else the client fetches a connection id (`connect`), which proves to the tracker that the
client is where it says it is; every later question carries it. Questions and answers belong together by a
transaction id that the client chose. What is asked and answered are the values of HTTP trackers, `Announce`
and `Reply`; only what UDP cannot say is lost: the `paused` event, times between announces, who the asker is.

Numbers have fixed places and everything has a least length, never an exact one: answers grow (BEP 15), and
behind an announce stand options (BEP 41), of which one names the path and query of the tracker's URL.
The one hard thing: nothing in an answer says whether its peers have 6 or 18 bytes each. Only the family of
the address that it came from does.
"""

from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address
from struct import Struct

from p2pswarm.errors import FormatError, RemoteProtocolError, TrackerError
from p2pswarm.formats.ids import InfoHash, PeerId
from p2pswarm.wire.tracker import (
    MAX_PEERS,
    Announce,
    Counts,
    Event,
    Reply,
    Scrape,
    ScrapeReply,
    printable,
    sensible_interval,
)

__all__ = [
    "CONNECT_SIZE",
    "MAX_SCRAPE",
    "MAX_URL_DATA",
    "Action",
    "Answer",
    "Question",
    "announced",
    "connect",
    "connected",
    "refused",
    "scraped",
]

MAX_SCRAPE = 74  # info-hashes in one datagram (BEP 15)
MAX_URL_DATA = 1000  # bytes: a datagram of 98 and these is not cut into pieces on its way
CONNECT_SIZE = 16  # bytes of the shortest question, and of the answer to it

_PROTOCOL = 0x41727101980  # BEP 15: what stands where the connection id will be
_MOST_PEERS = 2 * MAX_PEERS  # read from one answer

_HEAD = Struct(">QII")  # connection id, action, transaction id
# … info-hash, peer id, downloaded, left, uploaded, event, IP address, key, num_want, port
_ANNOUNCE = Struct(">QII 20s20s QQQ III iH")
_ANSWER = Struct(">II")  # action, transaction id
_CONNECTED = Struct(">IIQ")
_ANNOUNCED = Struct(">IIIII")  # … interval, leechers, seeders
_COUNTS = Struct(">III")  # seeders, completed, leechers

_EVENTS = (Event.NONE, Event.COMPLETED, Event.STARTED, Event.STOPPED)
_LARGEST = (1 << 63) - 1  # of an amount, by either protocol of trackers
_END, _NOTHING, _URL_DATA = range(3)  # BEP 41: kinds of options; from 2 on, a length follows


class Action(IntEnum):
    """What a datagram is about; ERROR only answers."""

    CONNECT = 0
    ANNOUNCE = 1
    SCRAPE = 2
    ERROR = 3


# Questions: a client writes, a tracker reads strictly.


def connect(transaction: int) -> bytes:
    """Ask for a connection id."""
    return _HEAD.pack(_PROTOCOL, Action.CONNECT, transaction)


@dataclass(frozen=True, slots=True)
class Question:
    """A datagram for a tracker: its head is read, the rest when the connection id has been proven."""

    connection: int
    action: int
    transaction: int
    data: bytes

    @classmethod
    def read(cls, data: bytes) -> "Question":
        """Raises FormatError for what is no question, and deserves no answer."""
        if len(data) < _HEAD.size:
            raise FormatError(f"a question of {len(data)} bytes")
        connection, action, transaction = _HEAD.unpack_from(data)
        question = cls(connection, action, transaction, data)
        if question.action > Action.SCRAPE:
            raise FormatError(f"a question of kind {question.action}")
        if question.action == Action.CONNECT and question.connection != _PROTOCOL:
            raise FormatError("a connect of another protocol")
        return question

    @staticmethod
    def announce(
        connection: int, transaction: int, announce: Announce, url_data: bytes = b""
    ) -> bytes:
        """`url_data` is the path and query of the tracker's URL, at most MAX_URL_DATA bytes."""
        # BEP 15 has no word for a partial seed: `paused` is one of the regular announces.
        event = _EVENTS.index(announce.event) if announce.event in _EVENTS else 0
        numwant = -1 if announce.numwant is None else announce.numwant
        head = _ANNOUNCE.pack(
            connection,
            Action.ANNOUNCE,
            transaction,
            announce.info_hash,
            announce.peer_id,
            announce.downloaded,
            announce.left,
            announce.uploaded,
            event,
            0,  # our address: trackers must not believe it
            int(announce.key or b"0", 16),
            numwant,
            announce.port,
        )
        return head + _options(url_data)

    @staticmethod
    def scrape(connection: int, transaction: int, scrape: Scrape) -> bytes:
        """At most MAX_SCRAPE info-hashes."""
        return _HEAD.pack(connection, Action.SCRAPE, transaction) + b"".join(scrape.info_hashes)

    def read_announce(self) -> Announce:
        """Raises RemoteProtocolError that names the field."""
        if len(self.data) < _ANNOUNCE.size:
            raise RemoteProtocolError(f"announce: {len(self.data)} bytes, not {_ANNOUNCE.size}")
        fields = _ANNOUNCE.unpack_from(self.data)
        info_hash, peer_id, downloaded, left, uploaded, event, ip, key, numwant, port = fields[3:]
        if event >= len(_EVENTS):
            raise RemoteProtocolError("event: not 0 to 3")
        if not port:
            raise RemoteProtocolError("port: 0 is not from 1 to 65535")
        return Announce(
            InfoHash(info_hash),
            PeerId(peer_id),
            port,
            _amount(uploaded),
            _amount(downloaded),
            _amount(left),
            event=_EVENTS[event],
            numwant=None if numwant < 0 else numwant,
            key=b"%08X" % key,
            hints=(str(IPv4Address(ip)),) if ip else (),
        )

    def url_data(self) -> bytes:
        """The path and query that the options of an announce name (BEP 41), in pieces of up to 255 bytes.

        Raises RemoteProtocolError for an option that goes beyond the datagram.
        """
        data, at, pieces = self.data, _ANNOUNCE.size, []
        while at < len(data) and data[at] != _END:
            kind, at = data[at], at + 1
            if kind == _NOTHING:
                continue
            end = at + 1 + data[at] if at < len(data) else at + 1
            if end > len(data):
                raise RemoteProtocolError("options: one is longer than the datagram")
            if kind == _URL_DATA:
                pieces.append(data[at + 1 : end])
            at = end
        return b"".join(pieces)

    def read_scrape(self) -> Scrape:
        """A rest behind the last whole info-hash is ignored. Raises RemoteProtocolError."""
        hashes = self.data[_HEAD.size :]
        count = len(hashes) // 20
        if not 0 < count <= MAX_SCRAPE:
            raise RemoteProtocolError(f"info_hash: {count} of them, 1 to {MAX_SCRAPE} please")
        return Scrape([InfoHash(hashes[at : at + 20]) for at in range(0, 20 * count, 20)])


def _amount(told: int) -> int:
    """Who does not know says 2^64-1: WebTorrent, when it stops."""
    return min(told, _LARGEST)


def _options(url_data: bytes) -> bytes:
    pieces = [url_data[at : at + 255] for at in range(0, len(url_data), 255)]
    return b"".join(bytes((_URL_DATA, len(piece))) + piece for piece in pieces)


# Answers: a tracker writes, a client reads liberally.


def connected(transaction: int, connection: int) -> bytes:
    return _CONNECTED.pack(Action.CONNECT, transaction, connection)


def announced(transaction: int, reply: Reply, stride: int) -> bytes:
    """Of a reply's peers, those of the asker's own family: `stride` 6 or 18 bytes each."""
    head = _ANNOUNCED.pack(
        Action.ANNOUNCE, transaction, reply.interval, reply.incomplete or 0, reply.complete or 0
    )
    return head + (reply.peers if stride == 6 else reply.peers6)


def scraped(transaction: int, counts: list[Counts]) -> bytes:
    """In the order in which they were asked for."""
    return _ANSWER.pack(Action.SCRAPE, transaction) + b"".join(
        _COUNTS.pack(each.complete, each.downloaded, each.incomplete) for each in counts
    )


def refused(transaction: int, reason: str, size: int) -> bytes:
    """An error of at most `size` bytes, at least its head."""
    answer = _ANSWER.pack(Action.ERROR, transaction) + reason.encode("ascii", "replace")
    return answer[: max(size, _ANSWER.size)]


@dataclass(frozen=True, slots=True)
class Answer:
    """A datagram of a tracker. What it says is read as the answer to what was asked."""

    action: int
    transaction: int
    data: bytes

    @classmethod
    def read(cls, data: bytes) -> "Answer":
        """Raises FormatError."""
        if len(data) < _ANSWER.size:
            raise FormatError(f"an answer of {len(data)} bytes")
        action, transaction = _ANSWER.unpack_from(data)
        return cls(action, transaction, data)

    def connection(self) -> int:
        """The id to ask with from now on. Raises TrackerError, FormatError."""
        self._expect(Action.CONNECT, _CONNECTED)
        return int(_CONNECTED.unpack_from(self.data)[2])

    def reply(self, stride: int) -> Reply:
        """The answer to an announce; peers have `stride` bytes each. Raises TrackerError, FormatError."""
        self._expect(Action.ANNOUNCE, _ANNOUNCED)
        _, _, interval, leechers, seeders = _ANNOUNCED.unpack_from(self.data)
        peers = self.data[_ANNOUNCED.size :][: _MOST_PEERS * stride]
        whole = peers[: len(peers) - len(peers) % stride]
        return Reply(
            interval=sensible_interval(interval),
            peers=whole if stride == 6 else b"",
            peers6=whole if stride == 18 else b"",
            complete=seeders,
            incomplete=leechers,
        )

    def counts(self, asked: Scrape) -> ScrapeReply:
        """The answer to a scrape, as far as it goes. Raises TrackerError, FormatError."""
        self._expect(Action.SCRAPE, _ANSWER)
        sizes = self.data[_ANSWER.size :]
        whole = sizes[: len(sizes) - len(sizes) % _COUNTS.size]
        counts = (Counts(*numbers) for numbers in _COUNTS.iter_unpack(whole))
        return ScrapeReply(dict(zip(asked.info_hashes, counts, strict=False)))

    def _expect(self, action: Action, least: Struct) -> None:
        if self.action == Action.ERROR:
            reason = printable(self.data[_ANSWER.size :]) or "the tracker gave no reason"
            raise TrackerError(reason)
        if self.action != action:
            raise FormatError(f"the tracker answers {action.name} with an answer of another kind")
        if len(self.data) < least.size:
            raise FormatError(f"the tracker's answer to {action.name} is cut short")
