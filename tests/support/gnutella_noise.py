"""What a hostile neighbour says: any kind of message, sensible, odd or broken; the dice decide."""

from collections.abc import Callable
from random import Random

from p2pswarm.errors import LocalProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.wire.gnutella.descriptor import Descriptor, Kind
from p2pswarm.wire.gnutella.hit import QueryHit
from p2pswarm.wire.gnutella.pings import Ping, Pong
from p2pswarm.wire.gnutella.push import Push
from p2pswarm.wire.gnutella.qrp import QueryTable, patches
from p2pswarm.wire.gnutella.query import Query
from p2pswarm.wire.gnutella.results import Result
from p2pswarm.wire.gnutella.vendor import (
    HopsFlow,
    OobAck,
    OobHits,
    PushProxyAck,
    PushProxyRequest,
    QueryStatusRequest,
    QueryStatusResponse,
    UdpConnectBack,
)

__all__ = ["noise", "request"]

_NAMES = ["SCP", "IPP", "QK", "GUE", "UP", "DU", "VC", "SO", "Z"]
_NAMES += ["PUSH", "BTIH", "LF", "H", "TT", "u", "ALT", "PATH", "BH"]
_TEXTS = ["blue moon", "blue", "\ufdfa" * 50, "", "\\", "../..", "x" * 300, "\x1b[31m\u202e"]
_URNS = ["urn:", "urn:sha1:" + "A" * 32, "urn:btih:" + "a" * 40, "urn:x"]
_HOSTS = ["10.0.0.2", "10.0.0.77", "8.8.8.8", "0.0.0.0", "127.0.0.1", "255.255.255.255"]
_BYTES = [0, 1, 2, 4, 7, 9, 0x7F, 0xC3, 255]


def noise(dice: Random, guids: list[bytes]) -> Descriptor:
    """The next message, perhaps with one of these GUIDs."""
    kind, payload = _said(dice, guids)
    if payload and dice.random() < 0.5:
        payload = _bent(dice, payload)
    guid = dice.choice(guids) if guids and dice.random() < 0.6 else dice.randbytes(16)
    return Descriptor(guid, kind, dice.choice(_BYTES[:6]), dice.choice(_BYTES[:5]), payload)


def _said(dice: Random, guids: list[bytes]) -> tuple[int, bytes]:
    kind, make = dice.choice(_MAKERS)
    try:
        return kind, make(dice, dice.choice(guids or [bytes(16)]))
    except LocalProtocolError:
        return dice.randrange(256), dice.randbytes(40)


def _bent(dice: Random, payload: bytes) -> bytes:
    data = bytearray(payload)
    for _ in range(dice.randrange(1, 4)):
        data[dice.randrange(len(data))] = dice.choice([*_BYTES, dice.randrange(256)])
    return bytes(data[: dice.randrange(len(data) + 1)] if dice.random() < 0.3 else data)


def _ggep(dice: Random) -> dict[str, bytes]:
    sizes = (0, 1, 2, 3, 6, 12, 20, 24, 60)
    return {dice.choice(_NAMES): dice.randbytes(dice.choice(sizes)) for _ in range(3)}


def _where(dice: Random) -> Address:
    return Address(dice.choice(_HOSTS), dice.randrange(65536))


def _query(dice: Random, _: bytes) -> bytes:
    urns = tuple(dice.choice(_URNS) for _ in range(dice.randrange(3)))
    payload = Query(dice.choice(_TEXTS), urns, _ggep(dice)).encode()
    return dice.randbytes(2) + payload[2:]


def _hit(dice: Random, servent: bytes) -> bytes:
    results = tuple(
        Result(dice.randrange(1 << 32), dice.randrange(1 << 40), dice.choice(_TEXTS))
        for _ in range(dice.randrange(5))
    )
    push = dice.choice([None, True, False])
    return QueryHit(_where(dice), 1, results, servent, push=push, ggep=_ggep(dice)).encode()


def _routes(dice: Random, _: bytes) -> bytes:
    table = QueryTable(1 << dice.choice([3, 10, 16]), dice.getrandbits(8))
    return dice.choice(patches(None, table)).encode()


def _vendor(dice: Random, guid: bytes) -> bytes:
    number = dice.randrange(256)
    return dice.choice(
        [
            HopsFlow(number),
            QueryStatusRequest(),
            QueryStatusResponse(number),
            OobHits(number, True, 3),
            OobAck(number, dice.randbytes(8)),
            PushProxyRequest(),
            PushProxyAck(number),
            UdpConnectBack(number, guid),
        ]
    ).encode()


_MAKERS: list[tuple[int, Callable[[Random, bytes], bytes]]] = [
    (Kind.PING, lambda dice, _: Ping(_ggep(dice)).encode()),
    (
        Kind.PONG,
        lambda dice, _: Pong(_where(dice), 1, dice.randrange(1 << 32), _ggep(dice)).encode(),
    ),
    (Kind.QUERY, _query),
    (Kind.QUERY, _query),
    (Kind.HIT, _hit),
    (Kind.HIT, _hit),
    (
        Kind.PUSH,
        lambda dice, guid: Push(guid, dice.randrange(9), _where(dice), _ggep(dice)).encode(),
    ),
    (Kind.ROUTES, _routes),
    (Kind.VENDOR, _vendor),
    (Kind.VENDOR, _vendor),
    (Kind.STANDARD_VENDOR, lambda dice, _: dice.randbytes(dice.randrange(40))),
]

_LINES = [
    "GET / HTTP/1.1",
    "HEAD /get/1/blue moon.mp3 HTTP/1.1",
    "GET /get/1/..%2f..%2fetc%2fpasswd HTTP/1.1",
    "GET /uri-res/N2R?urn:sha1:" + "A" * 32 + " HTTP/1.1",
    "GET /uri-res/N2X?urn:sha1:" + "A" * 32 + " HTTP/1.1",
    "GET http://victim/ HTTP/1.0",
    "GET /gnutella/push-proxy?ServerId=" + "0" * 32 + " HTTP/1.1",
    "GET /p2pswarm/torrent/" + "a" * 40 + " HTTP/1.1",
    "GIV 1:" + "0" * 32 + "/x\n",
    "GNUTELLA CONNECT/0.4\n",
    "GNUTELLA CONNECT/0.6\r\nX-Try-Ultrapeers: 8.8.8.8:1, 127.0.0.1:22",
]
_HEADERS = [
    "Range: bytes=0-",
    "Range: bytes=5-1",
    "Range: bytes=" + "9" * 18 + "-",
    "X-Node: 10.0.0.2:1",
    "X-Alt: 10.0.0.9, 127.0.0.1:22",
    "Content-Length: 0, 5",
    "Transfer-Encoding: chunked",
    "Accept: application/x-gnutella-packets",
    "Connection: keep-alive",
    "X-Queue: 1.0",
]


def request(dice: Random) -> bytes:
    """What somebody says first on a new connection, once or several times."""
    headers = dice.sample(_HEADERS, dice.randrange(4))
    data = "\r\n".join([dice.choice(_LINES), *headers, "", ""]).encode() * dice.randrange(1, 4)
    return _bent(dice, data) if dice.random() < 0.3 else data
