"""Locks took Linux's struct wherever the call has that name; an unlock that failed left its file open."""

import errno
import fcntl
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from p2pswarm.disk import locks as room
from p2pswarm.disk.locks import Locks
from p2pswarm.errors import DiskError
from tests.disk.test_locks import name, open_in


def test_another_system_is_not_given_linuxs_struct(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def another(*_args: Any) -> None:
        raise AssertionError("whose layout is that?")

    monkeypatch.setattr(room, "sys", SimpleNamespace(platform="darwin"))  # which has F_OFD_SETLK
    monkeypatch.setattr(fcntl, "fcntl", another)
    locks = Locks(tmp_path)
    locks.take(name(1))
    locks.give(name(1))
    assert open_in(tmp_path) == 0


def test_an_unlock_that_fails_closes_the_file_which_unlocks_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: Any) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    locks = Locks(tmp_path)
    locks.take(name(1))
    with monkeypatch.context() as patch:
        patch.setattr(room.fcntl, "fcntl", refuse)
        with pytest.raises(DiskError, match=r"cannot unlock .*: No locks available"):
            locks.give(name(1))
    assert open_in(tmp_path) == 0
    Locks(tmp_path).take(name(1))
