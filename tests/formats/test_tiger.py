import ctypes
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from p2pswarm.errors import HostError
from p2pswarm.formats import tiger as room
from p2pswarm.formats.tiger import available, tiger, tiger_each
from tests.support.tiger import needs_tiger

pytestmark = needs_tiger()


@pytest.mark.parametrize(
    ("data", "digest"),
    [  # of the paper's test program, in file sharing's byte order
        (b"", "3293ac630c13f0245f92bbb1766e16167a4e58492dde73f3"),
        (b"\0", "5d9ed00a030e638bdb753a6a24fb900e5a63b8e73e6c25b6"),
        (b"Tiger", "dd00230799f5009fec6debc838bb6a27df2b9d6f110c7937"),
    ],
)
def test_known_hashes(data: bytes, digest: str) -> None:
    assert available()
    assert tiger(data).hex() == digest


@given(st.binary(max_size=300), st.integers(1, 100), st.binary(max_size=2))
def test_each_part_is_hashed_alone(data: bytes, size: int, prefix: bytes) -> None:
    expected = b"".join(tiger(prefix + data[at : at + size]) for at in range(0, len(data), size))
    for kind in (bytes, bytearray, memoryview, lambda data: memoryview(bytearray(data))):
        assert tiger_each(kind(data), size, prefix) == expected


def test_threads_do_not_disturb_each_other() -> None:
    parts = [bytes([n]) * 50_000 for n in range(40)]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(tiger, parts)) == list(map(tiger, parts))


def lacking(_: str) -> ctypes.PyDLL:
    raise OSError


def forbidding(_: str) -> Any:
    """A library that is there and refuses the algorithm, as in FIPS mode."""

    def refuse(*_: int) -> int:
        return 5

    return SimpleNamespace(gcry_check_version=lambda _: b"1", gcry_md_hash_buffers=refuse)


def another(_: str) -> Any:
    """A library that has another hash under this number."""

    def answer(*_: int) -> int:
        return 0

    return SimpleNamespace(gcry_check_version=lambda _: b"1", gcry_md_hash_buffers=answer)


@pytest.mark.parametrize("load", [lacking, forbidding, another])
def test_a_machine_without_it_says_so(monkeypatch: pytest.MonkeyPatch, load: object) -> None:
    monkeypatch.setattr(ctypes, "PyDLL", load)
    room._library.cache_clear()
    try:
        assert not available()
        with pytest.raises(HostError, match="install libgcrypt"):
            tiger(b"")
    finally:
        room._library.cache_clear()
