"""A layer is learned from a file that has the right root, and from no other."""

from pathlib import Path
from typing import Any

import pytest

from p2pswarm.disk import learning
from p2pswarm.disk.candidates import Candidate, Candidates
from p2pswarm.disk.learning import Learning
from p2pswarm.disk.reading import Reading
from p2pswarm.formats.metainfo import Metainfo
from tests.support.generations import contents, generation

DATA = contents(200_001)


def candidates(meta: Metainfo, folder: Path) -> Candidates:
    found = Candidates(meta.files)
    for name in sorted(path.name for path in folder.iterdir()):
        here = (folder / name).stat()
        found.add(Candidate(folder, (name,), here.st_size, here.st_mtime_ns))
    return found


def learned(meta: Metainfo, folder: Path) -> dict[bytes, bytes]:
    work = Learning(meta, candidates(meta, folder))
    while work.work():
        pass
    return work.layers


def test_the_layer_of_the_file_that_has_the_root(tmp_path: Path) -> None:
    whole = Metainfo.from_bytes(generation({"a": DATA, "small": b"x"}))
    bare = Metainfo.from_info(bytes(whole.info))
    assert not bare.layers
    (tmp_path / "other name").write_bytes(DATA)
    (tmp_path / "a").write_bytes(DATA[:-1] + b"?")
    layers = learned(bare, tmp_path)
    assert layers == whole.layers
    assert bare.with_layers(layers).piece_root(bare.piece_count - 2) is not None  # type: ignore[arg-type]


def test_nothing_from_files_of_other_bytes(tmp_path: Path) -> None:
    bare = Metainfo.from_info(bytes(Metainfo.from_bytes(generation({"a": DATA})).info))
    (tmp_path / "a").write_bytes(DATA[:-1] + b"?")
    assert learned(bare, tmp_path) == {}


def test_a_file_is_hashed_once_however_often_one_as_long_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link from a stranger kept the disk busy for days: 100 000 files as long as one that is here."""
    names = [f"{n:02}" for n in range(20)]
    whole = Metainfo.from_bytes(generation({name: contents(200_001, int(name)) for name in names}))
    bare = Metainfo.from_info(bytes(whole.info))
    (tmp_path / "x").write_bytes(contents(200_001, 17))
    (tmp_path / "y").write_bytes(contents(200_001, 99))
    opened = list[object]()
    real = learning.Reading

    def reading(*args: Any) -> Reading:
        opened.append(args[1])
        return real(*args)

    monkeypatch.setattr(learning, "Reading", reading)
    assert learned(bare, tmp_path) == {root: whole.layers[root] for root in [whole.files[34].root]}
    assert len(opened) == 2
