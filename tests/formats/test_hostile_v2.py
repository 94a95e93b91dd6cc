"""Version 2: a hostile torrent gives one line that names the fault, as libtorrent does, or we say why."""

import libtorrent
import pytest

from p2pswarm.errors import FormatError
from p2pswarm.formats.metainfo import Metainfo
from tests.support.corpus_v2 import HOSTILE, ODD, STRICTER


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_torrent_is_refused_in_one_line(name: str) -> None:
    hostile = HOSTILE[name]
    with pytest.raises(FormatError) as caught:
        Metainfo.from_bytes(hostile.data)
    text = str(caught.value)
    assert hostile.words in text
    assert len(text) < 200
    assert text.isprintable()


@pytest.mark.parametrize("name", HOSTILE)
def test_libtorrent_refuses_it_too(name: str) -> None:
    if name in STRICTER:
        libtorrent.torrent_info(HOSTILE[name].data)
        return
    with pytest.raises(RuntimeError):
        libtorrent.torrent_info(HOSTILE[name].data)


@pytest.mark.parametrize("name", ODD)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_odd_torrent_is_read_as_libtorrent_reads_it(name: str) -> None:
    ours, theirs = Metainfo.from_bytes(ODD[name]), libtorrent.torrent_info(ODD[name])
    hashes, files = theirs.info_hashes(), theirs.files()
    assert ours.v2 == hashes.v2.to_bytes()
    assert ours.has_v1 is hashes.has_v1()
    assert ours.info_hash == hashes.get_best().to_bytes() or ours.has_v1
    assert ours.info_hash == hashes.v1.to_bytes() or not ours.has_v1
    assert (ours.total, ours.piece_count) == (theirs.total_size(), theirs.num_pieces())
    flags = libtorrent.file_flags_t
    numbers = range(files.num_files())
    assert [(f.length, f.offset, f.pad, f.link is not None) for f in ours.files if f.length] == [
        (
            files.file_size(n),
            files.file_offset(n),
            bool(files.file_flags(n) & flags.flag_pad_file),
            bool(files.file_flags(n) & flags.flag_symlink),
        )
        for n in numbers
        if files.file_size(n)
    ]
    assert [file.executable for file in ours.files if not file.pad] == [
        bool(files.file_flags(n) & flags.flag_executable)
        for n in numbers
        if not files.file_flags(n) & flags.flag_pad_file
    ]
    if name != "twins":  # they number other files than we do
        assert ["/".join(f.path) for f in ours.files if not f.pad] == [
            files.file_path(n) for n in numbers if not files.file_flags(n) & flags.flag_pad_file
        ]


def test_the_corpus_is_large() -> None:
    assert len({hostile.data for hostile in HOSTILE.values()}) == len(HOSTILE) >= 50
