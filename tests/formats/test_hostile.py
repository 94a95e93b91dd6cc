"""The corpus: a hostile torrent gives one line that names the fault, an odd one is read, none is slow."""

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from p2pswarm.errors import FormatError
from p2pswarm.formats.metainfo import Metainfo
from tests.support import corpus_v2
from tests.support.corpus import BOMBS, HOSTILE, ODD, Bomb

WORST = "latin-files"  # of version 2; the others of both are read in less time
MAX_SECONDS = 20.0  # on a machine that is busy with others; four of one that has a core for it
MAX_MEGABYTES = 400

_CHILD = """
import sys, time
from p2pswarm.errors import FormatError
from p2pswarm.formats.metainfo import Metainfo
from tests.support.corpus_v2 import BOMBS

data = BOMBS[sys.argv[1]].filled()
began = time.process_time()
try:
    Metainfo.from_bytes(data)
except FormatError:
    pass
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(time.process_time() - began, int(peak) / 1024)
"""


def test_the_corpus_is_large() -> None:
    assert len(HOSTILE) >= 50
    assert len({hostile.data for hostile in HOSTILE.values()}) == len(HOSTILE)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_torrent_is_refused_in_one_line(name: str) -> None:
    hostile = HOSTILE[name]
    with pytest.raises(FormatError) as caught:
        Metainfo.from_bytes(hostile.data)
    text = str(caught.value)
    assert hostile.words in text
    assert len(text) < 200
    assert text.isprintable()  # so no newline either


@pytest.mark.parametrize("name", ODD)
def test_an_odd_torrent_is_read(name: str) -> None:
    metainfo = Metainfo.from_bytes(ODD[name])
    assert metainfo.raw == ODD[name]
    assert (
        sum(metainfo.piece_size(piece) for piece in range(metainfo.piece_count)) == metainfo.total
    )


@pytest.mark.parametrize("bomb", [*BOMBS.values(), *corpus_v2.BOMBS.values()])
def test_a_small_bomb_is_read_or_refused_at_once(bomb: Bomb) -> None:
    data = bomb.filled(1 << 19)
    began = time.process_time()
    with suppress(FormatError):
        Metainfo.from_bytes(data)
    assert time.process_time() - began < MAX_SECONDS / 4


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the memory's peak is read from Linux's /proc"
)
def test_a_full_bomb_takes_little_time_and_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, WORST], capture_output=True, text=True, check=True
    )
    seconds, megabytes = map(float, done.stdout.split())
    assert seconds < MAX_SECONDS
    assert megabytes < MAX_MEGABYTES
