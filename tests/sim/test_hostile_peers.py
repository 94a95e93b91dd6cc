"""Promise 2: whatever a peer sends, the node lives on, memory is bounded and honest peers finish.

Each attack is made on a downloader and on its seed at once, while the download goes on. An exception that
reaches the loop fails the test (`simulate` sees to that); an attack that breaks the protocol must cost the
attacker its connection at once.
"""

import asyncio
import struct
import tracemalloc
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from p2pswarm.formats import bencode
from p2pswarm.formats.ids import BLOCK, InfoHash, PeerId, PieceIndex
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.node import Node
from p2pswarm.swarm.torrent import Torrent
from p2pswarm.wire.extension.handshake import REQQ
from p2pswarm.wire.peer import (
    HANDSHAKE,
    AllowedFast,
    BitfieldMessage,
    Cancel,
    Choke,
    Extended,
    Have,
    HaveAll,
    HaveNone,
    Hello,
    Interested,
    KeepAlive,
    NotInterested,
    PortMessage,
    Reject,
    Request,
    Reserved,
    Suggest,
    Unchoke,
)
from tests.support.singly import piece_head
from tests.support.stranger import PLAIN, Stranger
from tests.support.world import World, simulate

pytestmark = pytest.mark.sim

PIECE = 2 * BLOCK
PIECES = 15  # one spare bit in the bitfield
TOTAL = PIECE * PIECES - 100
MOST_MEMORY = 4 << 20  # bytes that one attacker may make us keep


@dataclass
class Target:
    """A node under attack, and what an attacker needs to know of it."""

    world: World
    node: Node
    torrent: Torrent
    meta: Metainfo

    async def dial(self) -> Stranger:
        return await Stranger.dial(self.world, self.world.host(), self.node)

    async def meet(self, reserved: Reserved | None = None, **more: Any) -> Stranger:
        hash_ = self.meta.info_hash
        host = self.world.host()
        return await Stranger.meet(self.world, host, self.node, hash_, reserved=reserved, **more)


Attack = Callable[[Target], Awaitable[None]]


def under_attack(tmp_path: Path, attack: Attack) -> None:
    """The attack on a downloader and on its seed; then the copy must be there, and memory small."""

    async def story(world: World) -> None:
        meta, folder = world.content(TOTAL, PIECE)
        home = world.host(up=100_000)
        seed = await world.node(home, encryption="prefer")
        seeding = await seed.add(meta, data=folder)
        node = await world.node(world.host(), encryption="prefer")
        torrent = await world.download(node, meta, home)
        while not torrent.status().have:
            await asyncio.sleep(0.05)
        targets = [Target(world, seed, seeding, meta), Target(world, node, torrent, meta)]
        await asyncio.gather(*(attack(target) for target in targets))
        async with asyncio.timeout(120):
            await torrent.finished()
        assert world.copy_of(node) == (folder / "file").read_bytes()
        for target in targets:
            assert kept(target) < MOST_MEMORY

    simulate(tmp_path, story)


def kept(target: Target) -> int:
    """Roughly the bytes that peers make a node keep."""
    waiting = sum(
        transport.get_write_buffer_size()
        for transport in target.world.loop.transports
        if transport.host.name == target.node.settings.bind
    )
    owed = sum(100 * (len(p.upload) + len(p.download.late)) for p in target.torrent.peers.values())
    return waiting + owed + target.node._reads.lent + len(target.torrent.finding.book) * 200


async def expect_drop(stranger: Stranger, seconds: float = 1.0) -> None:
    async with asyncio.timeout(seconds):
        await stranger.dropped()


# Before a handshake is complete

NOT_A_HANDSHAKE = {
    "random bytes": bytes(range(100, 168)),
    "another protocol's length": b"\x12" + HANDSHAKE[1:] + bytes(48),
    "another protocol": b"\x13BitTorrent protocoX" + bytes(48),
    "http": b"GET /announce HTTP/1.1\r\nHost: x\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    "zeros": bytes(100_000),
    "unknown hash": Hello(Reserved.ours(), InfoHash(b"x" * 20)).encode() + b"-XX0000-" + bytes(12),
    "hash of zeros": HANDSHAKE + bytes(8) + bytes(20) + b"p" * 20,
}


# It may be the beginning of a key (MSE, 96 bytes).
NOISE = {"random bytes", "another protocol's length", "another protocol", "tls"}


@pytest.mark.parametrize("what", NOT_A_HANDSHAKE)
def test_what_is_no_handshake_gets_no_answer(tmp_path: Path, what: str) -> None:
    async def attack(target: Target) -> None:
        stranger = await target.dial()
        stranger.send(NOT_A_HANDSHAKE[what])
        await expect_drop(stranger, 11 if what in NOISE else 1)
        assert stranger.hello == b""

    under_attack(tmp_path, attack)


NOISE_THAT_IS_NONE = {
    "no end of the padding": b"k" * (96 + 512 + 20),
    "padding for ever": b"k" * 1_000_000,
    "key 1": bytes(95) + b"\1" + bytes(100),
    "every bit": b"\xff" * 628,
}


@pytest.mark.parametrize("what", NOISE_THAT_IS_NONE)
def test_noise_is_believed_for_628_bytes(tmp_path: Path, what: str) -> None:
    async def attack(target: Target) -> None:
        stranger = await target.dial()
        stranger.stop_reading()  # we would take its key for messages
        stranger.send(NOISE_THAT_IS_NONE[what])
        await expect_drop(stranger)

    under_attack(tmp_path, attack)


@pytest.mark.parametrize("sent", [20, 95, 96, 600, 627])
def test_half_a_hidden_handshake_may_stay_ten_seconds(tmp_path: Path, sent: int) -> None:
    async def attack(target: Target) -> None:
        stranger = await target.dial()
        stranger.stop_reading()  # we would take its key for messages
        stranger.send(b"k" * sent)
        await expect_drop(stranger, 11)

    under_attack(tmp_path, attack)


@pytest.mark.parametrize("sent", [0, 1, 19, 20, 47, 48, 67])
def test_half_a_handshake_may_stay_ten_seconds(tmp_path: Path, sent: int) -> None:
    async def attack(target: Target) -> None:
        stranger = await target.dial()
        whole = Hello(Reserved.ours(), target.meta.info_hash).encode() + bytes(20)
        stranger.send(whole[:sent])
        await expect_drop(stranger, 11)

    under_attack(tmp_path, attack)


def test_a_handshake_of_a_byte_a_second(tmp_path: Path) -> None:
    async def attack(target: Target) -> None:
        stranger = await target.dial()
        for byte in Hello(Reserved.ours(), target.meta.info_hash).encode():
            stranger.send(bytes((byte,)))
            await asyncio.sleep(1)
            if stranger.over:
                return
        raise AssertionError("it was let in")

    under_attack(tmp_path, attack)


def test_hundreds_that_say_nothing_or_go_again(tmp_path: Path) -> None:
    async def attack(target: Target) -> None:
        host = target.world.host()
        crowd = [await Stranger.dial(target.world, host, target.node) for _ in range(60)]
        for n, stranger in enumerate(crowd):
            if n % 3 == 0:
                stranger.close()
            elif n % 3 == 1:
                stranger.send(HANDSHAKE)
        await asyncio.gather(*(expect_drop(stranger, 11) for stranger in crowd))
        assert not target.node._port._at_door

    under_attack(tmp_path, attack)


def test_ourselves(tmp_path: Path) -> None:
    async def attack(target: Target) -> None:
        stranger = await target.dial()
        stranger.introduce(target.meta.info_hash, Reserved.ours(), target.node.me)
        await expect_drop(stranger)

    under_attack(tmp_path, attack)


# After the handshake: one burst of bytes

NO_FAST = Reserved(b"\0\0\0\0\0\x10\0\0")


def raw(number: int, body: bytes = b"") -> bytes:
    return struct.pack(">IB", 1 + len(body), number) + body


def ext(value: Any) -> Extended:
    return Extended(0, bencode.encode(value))


def block(piece: int, begin: int, data: bytes) -> bytes:
    return piece_head(piece, begin, len(data)) + data


def all_requests() -> list[Request]:
    return [Request(PieceIndex(p), b, BLOCK) for p in range(PIECES - 1) for b in (0, BLOCK)]


FULL = BitfieldMessage(b"\xff\xfe")

BREAKS_THE_RULES: dict[str, tuple[Reserved, Iterable[Any]]] = {
    # lengths
    "a message of 4 GiB": (Reserved.ours(), [b"\xff\xff\xff\xff\x07"]),
    "a message of 2 GiB": (Reserved.ours(), [b"\x80\x00\x00\x00\x05"]),
    "a message of 301 KiB": (Reserved.ours(), [struct.pack(">I", 301 << 10), bytes(10)]),
    "a choke with a body": (Reserved.ours(), [raw(0, b"x")]),
    "an unchoke with a body": (Reserved.ours(), [raw(1, bytes(4))]),
    "an interested with a body": (Reserved.ours(), [raw(2, bytes(100))]),
    "have of 3 bytes": (Reserved.ours(), [raw(4, bytes(3))]),
    "have of 5 bytes": (Reserved.ours(), [raw(4, bytes(5))]),
    "request of 11 bytes": (Reserved.ours(), [raw(6, bytes(11))]),
    "request of 16 bytes": (Reserved.ours(), [raw(6, bytes(16))]),
    "cancel of 0 bytes": (Reserved.ours(), [raw(8)]),
    "piece of 4 bytes": (Reserved.ours(), [raw(7, bytes(4))]),
    "piece of 0 bytes": (Reserved.ours(), [raw(7)]),
    "port of 1 byte": (Reserved.ours(), [raw(9, b"x")]),
    "have all with a body": (Reserved.ours(), [raw(14, b"x")]),
    "reject of 8 bytes": (Reserved.ours(), [raw(16, bytes(8))]),
    "allowed fast of 0 bytes": (Reserved.ours(), [raw(17)]),
    "extended of 0 bytes": (Reserved.ours(), [raw(20)]),
    # what they have
    "bitfield too short": (Reserved.ours(), [BitfieldMessage(b"\xff")]),
    "bitfield too long": (Reserved.ours(), [BitfieldMessage(bytes(3))]),
    "bitfield empty": (Reserved.ours(), [BitfieldMessage(b"")]),
    "bitfield of 299 KiB": (Reserved.ours(), [BitfieldMessage(bytes(299 << 10))]),
    "bitfield with the spare bit": (Reserved.ours(), [BitfieldMessage(b"\xff\xff")]),
    "bitfields without end": (Reserved.ours(), [FULL, HaveNone()] * 10),
    "have all and none in turn": (Reserved.ours(), [HaveAll(), HaveNone()] * 500),
    "have beyond the end": (Reserved.ours(), [Have(PieceIndex(PIECES))]),
    "have 4294967295": (Reserved.ours(), [Have(PieceIndex(0xFFFFFFFF))]),
    # fast messages of a peer without the extension
    "have all without fast": (NO_FAST, [HaveAll()]),
    "have none without fast": (NO_FAST, [HaveNone()]),
    "reject without fast": (NO_FAST, [Reject(PieceIndex(0), 0, BLOCK)]),
    "allowed fast without fast": (NO_FAST, [AllowedFast(PieceIndex(0))]),
    # requests
    "request beyond the last piece": (Reserved.ours(), [Request(PieceIndex(PIECES), 0, BLOCK)]),
    "request of piece 4294967295": (Reserved.ours(), [Request(PieceIndex(2**32 - 1), 0, BLOCK)]),
    "request beyond its piece": (Reserved.ours(), [Request(PieceIndex(0), PIECE, BLOCK)]),
    "request across two pieces": (Reserved.ours(), [Request(PieceIndex(0), BLOCK, PIECE)]),
    "request past the last byte": (
        Reserved.ours(),
        [Request(PieceIndex(PIECES - 1), BLOCK, BLOCK)],
    ),
    "request of 0 bytes": (Reserved.ours(), [Request(PieceIndex(0), 0, 0)]),
    "request of 4 GiB": (Reserved.ours(), [Request(PieceIndex(0), 0, 0xFFFFFFFF)]),
    "request whose end overflows": (
        Reserved.ours(),
        [Request(PieceIndex(0), 2**32 - 1, 2**32 - 1)],
    ),
    # blocks that nobody asked for
    "a block not asked for": (Reserved.ours(), [block(0, 0, bytes(BLOCK))]),
    "a block of no piece": (Reserved.ours(), [block(2**32 - 1, 2**32 - 1, bytes(BLOCK))]),
    "an empty block": (Reserved.ours(), [block(0, 0, b"")]),
    "a block of 290 KiB": (Reserved.ours(), [block(1, 0, bytes(290 << 10))]),
    # refusals
    "rejects without end": (Reserved.ours(), [Reject(PieceIndex(0), 0, BLOCK)] * 1000),
    "rejects of no piece": (Reserved.ours(), [Reject(PieceIndex(2**32 - 1), 0, 1)] * 1000),
    "allowed fast beyond the end": (Reserved.ours(), [AllowedFast(PieceIndex(PIECES))]),
    # extended handshakes
    "not bencode": (Reserved.ours(), [Extended(0, b"d1:v")]),
    "empty": (Reserved.ours(), [Extended(0, b"")]),
    "a list": (Reserved.ours(), [ext([1, 2])]),
    "nested 10 000 deep": (Reserved.ours(), [Extended(0, b"l" * 10_000)]),
    "nested dictionaries": (Reserved.ours(), [Extended(0, b"d1:m" * 10_000)]),
    "a string longer than all": (Reserved.ours(), [Extended(0, b"d1:v999999999:x")]),
    "a number of 60 000 digits": (Reserved.ours(), [Extended(0, b"d1:pi" + b"9" * 60_000 + b"ee")]),
    "a name of 200 kB": (Reserved.ours(), [ext({b"v": b"A" * 200_000})]),
    "30 000 message names": (
        Reserved.ours(),
        [ext({b"m": {b"%d" % n: 1 for n in range(30_000)}})],
    ),
}


@pytest.mark.parametrize("what", BREAKS_THE_RULES)
def test_who_breaks_the_rules_is_dropped(tmp_path: Path, what: str) -> None:
    reserved, messages = BREAKS_THE_RULES[what]

    async def attack(target: Target) -> None:
        stranger = await target.meet(reserved)
        stranger.send(*messages)
        await expect_drop(stranger)

    under_attack(tmp_path, attack)


TOLERATED: dict[str, tuple[Reserved, list[Any]]] = {
    "300 000 unknown messages": (Reserved.ours(), [raw(99) * 300_000]),
    "unknown messages of 290 KiB": (Reserved.ours(), [raw(77, bytes(290 << 10))] * 5),
    "messages of version 2": (Reserved.ours(), [raw(n, bytes(48)) for n in (21, 22, 23)]),
    "300 000 keep-alives": (Reserved.ours(), [KeepAlive().encode() * 300_000]),
    "have 50 000 times": (Reserved.ours(), [Have(PieceIndex(3)).encode() * 50_000]),
    "have instead of a bitfield": (PLAIN, [Have(PieceIndex(n)) for n in range(PIECES)]),
    "interested and not, 5 000 times": (
        Reserved.ours(),
        [(Interested().encode() + NotInterested().encode()) * 5_000],
    ),
    "choke and unchoke, 2 000 times": (
        Reserved.ours(),
        [FULL, (Unchoke().encode() + Choke().encode()) * 2_000],
    ),
    "cancels of nothing": (Reserved.ours(), [Cancel(PieceIndex(0), 0, BLOCK).encode() * 50_000]),
    "cancels of no piece": (Reserved.ours(), [Cancel(PieceIndex(2**32 - 1), 7, 9)] * 100),
    "allowed fast 50 000 times": (
        Reserved.ours(),
        [b"".join(AllowedFast(PieceIndex(n % PIECES)).encode() for n in range(50_000))],
    ),
    "suggestions of no piece": (Reserved.ours(), [Suggest(PieceIndex(2**32 - 1))] * 100),
    "ports": (Reserved.ours(), [PortMessage(0), PortMessage(65535)] * 100),
    "half a message": (Reserved.ours(), [raw(5, bytes(200))[:50]]),
    "an extension we did not offer": (Reserved.ours(), [Extended(200, bytes(1000))] * 100),
    "extended handshakes without end": (Reserved.ours(), [ext({b"v": b"x", b"p": 1})] * 2_000),
    "odd values in the extended handshake": (
        Reserved.ours(),
        [
            ext({b"v": b"\x1b[2J\xff\x00", b"p": -1, b"reqq": 0, b"yourip": b"123"}),
            ext({b"v": 7, b"p": 70_000, b"reqq": -(2**62), b"m": 3, b"upload_only": b"x"}),
            ext({b"p": 0, b"reqq": 2**62, b"m": {b"ut_pex": 300, b"": 1, b"x": b"y"}}),
        ],
    ),
    "upload only, and it wants": (
        Reserved.ours(),
        [ext({b"upload_only": 1}), HaveNone(), Interested()],
    ),
    "everything in one byte each": (PLAIN, [FULL, Interested(), Unchoke()]),
}


@pytest.mark.parametrize("what", TOLERATED)
def test_what_is_only_odd_changes_nothing(tmp_path: Path, what: str) -> None:
    reserved, messages = TOLERATED[what]

    async def attack(target: Target) -> None:
        stranger = await target.meet(reserved)
        data = b"".join(m if isinstance(m, bytes) else m.encode() for m in messages)
        step = 1 if what == "everything in one byte each" else len(data)
        for at in range(0, len(data), step):
            stranger.send(data[at : at + step])
        await asyncio.sleep(2)

    under_attack(tmp_path, attack)


# Longer stories


def test_requests_while_choked(tmp_path: Path) -> None:
    async def attack(target: Target) -> None:
        stranger = await target.meet()
        await asyncio.sleep(3)
        granted = {message.piece for message in stranger.all(AllowedFast)}
        piece = next(p for p in range(PIECES) if p not in granted)
        for _ in range(20):
            stranger.send(*[Request(PieceIndex(piece), 0, BLOCK)] * 50)
            await asyncio.sleep(0.1)
        await expect_drop(stranger)

    under_attack(tmp_path, attack)


@pytest.mark.parametrize("reserved", [Reserved.ours(), NO_FAST])
def test_ten_thousand_requests(tmp_path: Path, reserved: Reserved) -> None:
    async def attack(target: Target) -> None:
        stranger = await target.meet(reserved)
        stranger.send(Interested())
        await stranger.hears(Unchoke)
        peer = next(p for p in target.torrent.peers.values() if p.address.host == stranger.host)
        for length in range(1, 10_000, 100):
            lots = [Request(PieceIndex(0), 0, length + n) for n in range(100)]
            stranger.send(*lots)
            await asyncio.sleep(0.01)
            assert len(peer.upload) <= REQQ
        stranger.close()

    under_attack(tmp_path, attack)


def test_requests_for_what_is_not_there(tmp_path: Path) -> None:
    async def attack(target: Target) -> None:
        stranger = await target.meet()
        missing = next(target.torrent.picker.missing.pieces(), None)
        if missing is None:
            return
        stranger.send(Interested())
        await stranger.hears(Unchoke)
        stranger.send(*[Request(PieceIndex(PIECES - 2), 0, BLOCK)] * 1000)
        await expect_drop(stranger)

    under_attack(tmp_path, attack)


def test_requests_and_cancels_from_one_who_does_not_read(tmp_path: Path) -> None:
    """Each cancelled request is answered with a reject; nobody takes them."""

    async def attack(target: Target) -> None:
        stranger = await target.meet()
        stranger.send(Interested())
        await stranger.hears(Unchoke)
        stranger.stop_reading()
        pair = Request(PieceIndex(0), 0, BLOCK).encode() + Cancel(PieceIndex(0), 0, BLOCK).encode()
        for _ in range(100):
            stranger.send(pair * 2_000)
            await asyncio.sleep(0.1)
            assert kept(target) < MOST_MEMORY
            if stranger.over:
                return
        raise AssertionError("it may make us keep answers for ever")

    under_attack(tmp_path, attack)


def test_floods_cost_no_memory(tmp_path: Path) -> None:
    """All memory of the process, at its highest: what the floods themselves are, and little more."""
    floods = [raw(99) * 20_000, KeepAlive().encode() * 20_000, ext({b"v": b"x"}).encode() * 500]

    async def attack(target: Target) -> None:
        for flood in floods:
            stranger = await target.meet()
            stranger.send(flood)
            await asyncio.sleep(0.2)

    tracemalloc.start()
    try:
        under_attack(tmp_path, attack)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20


def test_one_who_asks_for_everything_and_reads_nothing(tmp_path: Path) -> None:
    async def attack(target: Target) -> None:
        stranger = await target.meet()
        stranger.send(Interested())
        await stranger.hears(Unchoke)
        stranger.stop_reading()
        for _ in range(200):
            stranger.send(KeepAlive(), *all_requests())
            await asyncio.sleep(1)
            if stranger.over:
                return
        raise AssertionError("it may hold our memory for ever")

    under_attack(tmp_path, attack)


def liar(answer: Callable[[Stranger, Request], None]) -> Attack:
    """Claims to have everything, and answers requests in its own way; a seed asks nothing of it."""

    async def attack(target: Target) -> None:
        stranger = await target.meet()
        stranger.answer = lambda me, said: answer(me, said) if isinstance(said, Request) else None
        stranger.send(HaveAll(), Unchoke())
        if not target.torrent.picker.done:
            await stranger.hears(Request)
            await expect_drop(stranger)

    return attack


WRONG_BLOCKS: dict[str, Callable[[Request], bytes]] = {
    "too short": lambda ask: block(ask.piece, ask.begin, bytes(ask.length - 1)),
    "too long": lambda ask: block(ask.piece, ask.begin, bytes(ask.length + 1)),
    "empty": lambda ask: block(ask.piece, ask.begin, b""),
    "a byte later": lambda ask: block(ask.piece, ask.begin + 1, bytes(ask.length)),
    "of the next piece": lambda ask: block((ask.piece + 1) % PIECES, ask.begin, bytes(ask.length)),
    "twice": lambda ask: block(ask.piece, ask.begin, bytes(ask.length)) * 2,
    "all zeros": lambda ask: block(ask.piece, ask.begin, bytes(ask.length)),
}


@pytest.mark.parametrize("what", WRONG_BLOCKS)
def test_wrong_answers(tmp_path: Path, what: str) -> None:
    answer = WRONG_BLOCKS[what]
    under_attack(tmp_path, liar(lambda me, ask: me.send(answer(ask))))


def test_one_who_promises_everything_and_sends_nothing(tmp_path: Path) -> None:
    async def attack(target: Target) -> None:
        strangers = [await target.meet() for _ in range(5)]
        for stranger in strangers:
            stranger.send(HaveAll(), Unchoke())
        await asyncio.sleep(1)

    under_attack(tmp_path, attack)


def test_one_who_rejects_every_request(tmp_path: Path) -> None:
    async def attack(target: Target) -> None:
        stranger = await target.meet()
        stranger.answer = lambda me, said: (
            me.send(Reject(said.piece, said.begin, said.length)) if isinstance(said, Request) else 0
        )
        stranger.send(HaveAll(), Unchoke())
        await asyncio.sleep(3)

    under_attack(tmp_path, attack)


def test_a_block_again_after_its_piece_is_there(tmp_path: Path) -> None:
    async def attack(target: Target) -> None:
        stranger = await target.meet()
        have = next(target.torrent.picker.have.pieces())
        data = (target.world.folder / "seed" / "file").read_bytes()
        at = have * PIECE
        stranger.send(HaveAll(), block(have, 0, data[at : at + BLOCK]))
        await expect_drop(stranger)

    under_attack(tmp_path, attack)


def test_the_same_id_twice(tmp_path: Path) -> None:
    async def attack(target: Target) -> None:
        me = PeerId(b"-XX0001-abcdefghijkl")
        host = target.world.host()
        hash_ = target.meta.info_hash
        await Stranger.meet(target.world, host, target.node, hash_, peer_id=me)
        second = await Stranger.dial(target.world, host, target.node)
        second.introduce(hash_, Reserved.ours(), me)
        await expect_drop(second)
        third = [p for p in target.torrent.peers.values() if p.address.host == host.name]
        assert len(third) == 1

    under_attack(tmp_path, attack)


def test_the_id_of_somebody_else(tmp_path: Path) -> None:
    """Whoever claims an honest peer's id must not take its place."""

    async def attack(target: Target) -> None:
        honest = set(target.torrent.peers)
        for name in honest:
            stranger = await target.meet(peer_id=name.peer_id)
            stranger.send(HaveAll(), Unchoke(), Interested())
            await asyncio.sleep(0.5)
        assert honest <= set(target.torrent.peers)

    under_attack(tmp_path, attack)


def test_random_bytes_after_the_handshake(tmp_path: Path) -> None:
    async def attack(target: Target) -> None:
        for _ in range(30):
            stranger = await target.meet()
            stranger.send(target.world.dice.randbytes(target.world.dice.randrange(1, 5_000)))
            stranger.close()

    under_attack(tmp_path, attack)


def test_shuffled_messages(tmp_path: Path) -> None:
    """Any of the messages in any order, some of them cut short: nothing but a drop may come of it."""

    async def attack(target: Target) -> None:
        dice = target.world.dice
        small = [list(m) for _, m in [*BREAKS_THE_RULES.values(), *TOLERATED.values()]]
        pool = [m for ms in small if len(ms) < 25 for m in ms]
        for _ in range(40):
            stranger = await target.meet(dice.choice([Reserved.ours(), NO_FAST, PLAIN]))
            for _ in range(dice.randrange(1, 20)):
                said = dice.choice(pool)
                data = said if isinstance(said, bytes) else said.encode()
                if len(data) < 10_000:
                    stranger.send(
                        data if dice.random() < 0.9 else data[: dice.randrange(len(data))]
                    )
            await asyncio.sleep(0.05)
            stranger.close()

    under_attack(tmp_path, attack)
