"""What is made of a folder in each generation is what libtorrent makes of it, hash for hash."""

import os
from pathlib import Path
from random import Random

import libtorrent as lt
import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.disk import hashing
from p2pswarm.disk.create import create
from p2pswarm.disk.gathering import EVERYTHING, Choice, Links
from p2pswarm.errors import HostError
from p2pswarm.formats import bencode
from p2pswarm.formats.building import Generation
from p2pswarm.formats.metainfo import Metainfo

SMALL = 16 << 10
FLAGS = {Generation.HYBRID: 0, Generation.V2: lt.create_torrent.v2_only}
BOTH = pytest.mark.parametrize("generation", FLAGS)


def of_libtorrent(path: Path, flags: int, piece_length: int) -> tuple[bytes, dict[bytes, bytes]]:
    """Its `info` and its piece layers."""
    files = lt.list_files(str(path), lambda name: True, flags)
    made = lt.create_torrent(files, piece_length, flags)
    lt.set_piece_hashes(made, str(path.parent))
    torrent = made.generate()
    return lt.bencode(torrent[b"info"]), torrent[b"piece layers"]


def check(path: Path, generation: Generation, piece_length: int, choice: Choice) -> Metainfo:
    """The same `info` byte for byte, the same piece layers, and libtorrent reads it."""
    flags = FLAGS[generation] | (lt.create_torrent.symlinks if choice.links is Links.KEEP else 0)
    made = create(path, generation=generation, piece_length=piece_length, choice=choice)
    assert (bytes(made.info), made.layers) == of_libtorrent(path, flags, piece_length)
    read = lt.load_torrent_buffer(made.raw).ti
    assert read.info_hashes().v2.to_bytes() == made.v2
    assert read.num_pieces() == made.piece_count
    return made


def fill(root: Path, sizes: dict[str, int], dice: Random) -> None:
    for name, size in sizes.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(dice.randbytes(size))


@BOTH
def test_a_thousand_files(tmp_path: Path, generation: Generation) -> None:
    root, dice = tmp_path / "thousand", Random(9)
    sizes = [dice.choice([0, 1, 100, SMALL - 1, SMALL, SMALL + 1, 3 * SMALL]) for _ in range(1000)]
    fill(root, {f"{n % 7}/{n % 3}/{n}": size for n, size in enumerate(sizes)}, dice)
    made = check(root, generation, SMALL, EVERYTHING)
    assert sum(not file.pad for file in made.files) == 1000
    assert made.has_v1 == (generation is Generation.HYBRID)


@BOTH
def test_links_and_executables(tmp_path: Path, generation: Generation) -> None:
    root = tmp_path / "program"
    fill(root, {"bin/run": 100, "lib/lib.so.1": 70_000, "read me": 5, "ä": 0}, Random(1))
    (root / "bin/run").chmod(0o755)
    (root / "lib/lib.so").symlink_to("lib.so.1")
    (root / "bin/lib").symlink_to("../lib")
    made = check(root, generation, SMALL, Choice(links=Links.KEEP))
    links = {f.path[-1]: f.link for f in made.files if f.link}
    assert links == {
        "lib.so": ("program", "lib", "lib.so.1"),
        "lib": ("program", "lib"),
    }
    assert [f.path[-1] for f in made.files if f.executable and not f.link] == ["run"]


SIZES = st.sampled_from([0, 1, SMALL - 1, SMALL, SMALL + 1, 40_000, 5 * SMALL, 9 * SMALL + 7])


@BOTH
@given(
    st.lists(SIZES, min_size=1, max_size=5).filter(any),
    st.sampled_from([SMALL, 4 * SMALL]),
    st.sampled_from([SMALL, 2 * SMALL, 1 << 20]),  # a piece of several reads, pieces in one read
)
@settings(max_examples=12, deadline=None)
def test_any_sizes(
    tmp_path_factory: pytest.TempPathFactory,
    generation: Generation,
    sizes: list[int],
    piece_length: int,
    read: int,
) -> None:
    root = tmp_path_factory.mktemp("sizes")
    fill(root, {str(n): size for n, size in enumerate(sizes)}, Random(2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashing, "READ", read)
        check(root, generation, piece_length, EVERYTHING)


@BOTH
@pytest.mark.parametrize("size", [1, SMALL, SMALL + 1, 100_000])
def test_one_file(tmp_path: Path, generation: Generation, size: int) -> None:
    fill(tmp_path, {"file": size, "folder/file": size}, Random(3))
    assert check(tmp_path / "file", generation, SMALL, EVERYTHING).single_file
    check(tmp_path / "folder", generation, SMALL, EVERYTHING)


@pytest.mark.parametrize("generation", Generation)
def test_the_same_input_gives_the_same_bytes(tmp_path: Path, generation: Generation) -> None:
    names = ["b", "a/z", "a-b", "a.b/c", "B", "a/b", "é"]
    raws = set()
    for place, order in (("here", names), ("there", sorted(names))):
        root = tmp_path / place / "folder"
        for name in order:
            fill(root, {name: len(name) * 9000}, Random(name))
        os.utime(root / "b", (1, 1))
        raws.add(create(root, generation=generation, workers=1 + (place == "here")).raw)
    assert len(raws) == 1


def test_names_that_libtorrent_lists_in_two_orders_are_read_by_it(tmp_path: Path) -> None:
    """libtorrent 2.1.1 sorts by whole paths in one half and by elements in the other, and refuses that."""
    root = tmp_path / "t"
    fill(root, {"a/b": 5, "a-b": 6, "a.b/c": 7}, Random(4))
    theirs, _ = of_libtorrent(root, 0, SMALL)
    with pytest.raises(RuntimeError, match="does not match"):
        lt.torrent_info(lt.bdecode(b"d4:info" + theirs + b"e"))
    made = create(root, generation=Generation.HYBRID, piece_length=SMALL)
    assert lt.load_torrent_buffer(made.raw).ti.info_hashes().v1.to_bytes() == made.info_hash


@BOTH
def test_what_is_said_is_where_libtorrent_says_it(tmp_path: Path, generation: Generation) -> None:
    fill(tmp_path / "folder", {"a": 5, "b": 6}, Random(5))
    made = create(tmp_path / "folder", generation=generation, private=True)
    other = create(
        tmp_path / "folder",
        generation=generation,
        similar=[made.info_hash],
        collections=["series"],
        web_seeds=["http://w.example/x"],
    )
    read = lt.load_torrent_buffer(other.raw).ti
    assert [each.to_bytes() for each in read.similar_torrents()] == [made.info_hash]
    assert read.collections() == ["series"]
    assert other.web_seeds == ("http://w.example/x/",)


def test_too_much_for_version_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "folder"
    root.mkdir()
    with (root / "sparse").open("wb") as file:
        file.truncate(7 << 30)
    with pytest.raises(HostError, match="458752 pieces: choose a larger"):
        create(root, generation=Generation.V2, piece_length=SMALL)
    monkeypatch.setattr(bencode, "MAX_SIZE", 28_800)  # bytes; the layer alone has 28 672
    with pytest.raises(HostError, match="a torrent of more than"):
        create(root, generation=Generation.V2, piece_length=8 << 20)
