from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import DiskError
from p2pswarm.formats import merkle
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.geometry import Geometry
from p2pswarm.formats.ids import PieceIndex
from p2pswarm.swarm.forest import Forest
from p2pswarm.swarm.hash_upload import CREDIT, MOST_WAITING, Answer, HashUpload, Read, answer
from p2pswarm.swarm.picker import PiecePicker
from p2pswarm.wire.hashes import Hashes, HashRange, HashReject
from p2pswarm.wire.peer import PeerFramer
from tests.support.feeding import feed
from tests.swarm.test_forest import FILES, META, PIECE, answered, bare

STREAM = b"".join(data + bytes(-len(data) % PIECE) for data in FILES.values())
A, C, F = (next(f.root for f in META.files if f.path[-1] == name) or b"" for name in "acf")


class Asker:
    """A peer, and what it was sent."""

    def __init__(self) -> None:
        self.uploaded = 0
        self.got: list[object] = []

    def send(self, *buffers: bytes | memoryview) -> bool:
        framer = PeerFramer(lambda piece, begin, blocks: None)
        self.got += feed(framer, b"".join(buffers))
        return True


class Home:
    """A torrent that has everything; `later` holds jobs back."""

    def __init__(self) -> None:
        self.picker = PiecePicker(Geometry.of(META), Random(1))
        self.picker.start_with(Bitfield.full(META.piece_count))
        self.stream = STREAM
        self.reads = 0
        self.later: list[Callable[[], None]] | None = None

    def read(self, piece: PieceIndex) -> bytes:
        self.reads += 1
        if not self.stream:
            raise DiskError("gone")
        return self.stream[piece * PIECE :][: META.data_size(piece)]

    def work_out(
        self, job: Callable[[Read], Answer | None], done: Callable[[Answer | None], None]
    ) -> None:
        if self.later is None:
            done(job(self.read))
        else:
            self.later.append(lambda: done(job(self.read)))


def ask(asked: HashRange, forest: Forest | None = None) -> object:
    asker = Asker()
    HashUpload(Home()).asked(asker, asked, forest or Forest.of(META))
    (answer,) = asker.got
    return answer


@settings(max_examples=100)
@given(st.sampled_from([A, C, F]), st.sampled_from([0, 2]), st.integers(1, 5), st.data())
def test_what_is_given_is_true_or_a_reject(
    root: bytes, base: int, power: int, data: st.DataObject
) -> None:
    tree = Forest.of(META).tree(root)
    assert tree is not None
    length = 1 << power
    asked = HashRange(
        root,
        base,
        data.draw(st.integers(0, 17 >> power)) * length,
        length,
        data.draw(st.integers(0, 5)),
    )
    beyond = asked.first + length > 1 << max(0, tree.top - base)
    layer = not base or tree.pieces > 1
    if beyond or not layer or asked.proof > max(0, tree.top - base - 1):
        assert ask(asked) == HashReject(asked)
    else:
        assert ask(asked) == answered(asked)


@settings(max_examples=50)
@given(
    st.sampled_from([A, C, bytes(32)]),
    st.tuples(*[st.integers(0, 3) | st.integers(0, 2**32 - 1)] * 4),
)
def test_whatever_is_asked_has_one_answer(root: bytes, numbers: tuple[int, int, int, int]) -> None:
    asked = HashRange(root, *numbers)
    answer = ask(asked)
    assert isinstance(answer, Hashes | HashReject)
    assert answer.range == asked


def test_leaves_are_read_once() -> None:
    home, asker, forest = Home(), Asker(), Forest.of(META)
    upload = HashUpload(home)
    for _ in range(3):
        upload.asked(asker, HashRange(A, 0, 4, 4, 1), forest)
    assert home.reads == 1
    assert [type(each) for each in asker.got] == [Hashes] * 3


def test_without_its_layer_or_the_piece_nothing_is_given() -> None:
    assert isinstance(ask(HashRange(A, 0, 0, 4, 1), bare()), HashReject)
    home, asker = Home(), Asker()
    home.picker.lost(PieceIndex(1))
    upload = HashUpload(home)
    upload.asked(asker, HashRange(A, 0, 4, 4, 1), Forest.of(META))
    upload.asked(asker, HashRange(A, 2, 0, 8, 2), Forest.of(META))
    assert [type(each) for each in asker.got] == [HashReject, Hashes]


@pytest.mark.parametrize("stream", [b"", STREAM[:PIECE] + b"x" + STREAM[PIECE + 1 :]])
def test_a_file_that_is_not_what_it_was_gives_no_hashes(stream: bytes) -> None:
    home, asker = Home(), Asker()
    home.stream = stream
    HashUpload(home).asked(asker, HashRange(A, 0, 4, 4, 1), Forest.of(META))
    assert [type(each) for each in asker.got] == [HashReject]


def test_peers_have_their_turn_and_few_requests_wait() -> None:
    home, one, two, forest = Home(), Asker(), Asker(), Forest.of(META)
    home.later = []
    upload = HashUpload(home)
    for _ in range(MOST_WAITING + 3):
        upload.asked(one, HashRange(A, 2, 0, 8, 2), forest)
    assert [type(each) for each in one.got] == [HashReject] * 2
    upload.asked(two, HashRange(A, 2, 0, 8, 2), forest)
    assert len(home.later) == 1
    home.later.pop()()
    home.later.pop()()
    home.later.pop()()
    assert len(one.got) == 4
    assert len(two.got) == 1


def test_who_takes_nothing_has_little_hashed() -> None:
    home, asker, forest = Home(), Asker(), Forest.of(META)
    upload = HashUpload(home)
    upload._spent[asker] = CREDIT
    upload.asked(asker, HashRange(A, 0, 4, 4, 1), forest)
    asker.uploaded = PIECE
    upload.asked(asker, HashRange(A, 0, 4, 4, 1), forest)
    assert [type(each) for each in asker.got] == [HashReject, Hashes]
    upload.gone(asker)
    assert not upload._spent


def test_what_no_honest_peer_asks_is_told_apart() -> None:
    home, asker, forest = Home(), Asker(), Forest.of(META)
    home.later = []
    upload = HashUpload(home)
    fair = HashRange(A, 2, 0, 8, 2)
    assert not upload.asked(asker, HashRange(bytes(32), 0, 0, 2, 0), forest)
    assert not upload.asked(asker, HashRange(A, 1, 0, 2, 0), forest)
    assert not upload.asked(asker, HashRange(A, 0, 1 << 20, 2, 0), forest)
    said = [upload.asked(asker, fair, forest) for _ in range(MOST_WAITING + 2)]
    assert said == [True] * (MOST_WAITING + 1) + [False]  # one is worked on
    assert upload.asked(Asker(), fair, bare())  # that we do not know it is not the asker's fault


def test_answers_cost_credit_too() -> None:
    """A small request and a large answer, as often as one liked, and while choked."""
    home, asker, forest = Home(), Asker(), Forest.of(META)
    upload = HashUpload(home)
    upload._spent[asker] = CREDIT - 2 * 8 * 8 * 32
    for _ in range(3):
        upload.asked(asker, HashRange(A, 2, 0, 8, 0), forest)
    assert [type(each) for each in asker.got] == [Hashes, Hashes, HashReject]


@pytest.mark.parametrize("length", [2, 64, 512])
def test_the_upper_part_of_a_large_tree_is_worked_out_once(length: int) -> None:
    layer = b"".join(bytes([n & 255, n >> 8]) * 16 for n in range(1300))
    root, size = merkle.root(layer), 1300 << 14
    forest = Forest([(root, 0, size)], 1 << 14, {root: layer})
    tree = forest.tree(root)
    assert tree is not None
    top = b""
    for first in (0, 512 - length, 1280 // length * length, 2048 - length):
        asked = HashRange(root, 0, first, length, 10)
        given = answer(tree, asked, range(0), {}, top, lambda piece: b"")
        assert given is not None
        assert top in (b"", given.top)
        top = given.top
        plain = merkle.proof(layer, first, length)
        assert Hashes(asked, given.hashes).uncles == plain[: asked.uncles]
    assert len(top) == 3 * 32
