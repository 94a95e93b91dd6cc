"""Large pieces, settings that change the conversation, and several clients at once."""

import random
from typing import Any

import pytest

from tests.interop.lab import Lab, StartClient
from tests.support.foreign import aria2, libtorrent, until
from tests.support.processes import Program

pytestmark = pytest.mark.interop

BOTH = pytest.mark.parametrize("client", [libtorrent, aria2])


def some_files(size: int) -> dict[str, bytes]:
    """`size` bytes and a little, in three files, the last of them small."""
    data = random.Random(size).randbytes(size)
    return {"first": data[: size // 3], "second": data[size // 3 :], "third": data[:777]}


@BOTH
@pytest.mark.parametrize("piece_length", ["1MiB", "4MiB"])
def test_large_pieces(client: StartClient, piece_length: str, lab: Lab) -> None:
    """From the client to us, and from us to another of its kind."""
    files = some_files(10 << 20)
    lab.share(files, piece_length)
    with lab.foreign_seed(client), lab.get() as get:
        assert get.wait() == 0, get.stderr
    with lab.seed(), lab.foreign_get(client) as peer:
        until(peer.is_complete, "the download")
    assert lab.fetched("get") == lab.fetched(client.__name__) == files


def test_three_of_different_makes_fetch_at_once(lab: Lab) -> None:
    files = some_files(24 << 20)
    lab.share(files, "256KiB")
    with (
        lab.seed("--up-limit", "6MB") as seed,
        lab.get("--stay") as get,
        lab.foreign_get(libtorrent) as one,
        lab.foreign_get(aria2) as other,
    ):
        get.wait_for("completed")
        until(one.is_complete, "libtorrent's download")
        until(other.is_complete, "aria2's download")
        assert get.stop() == 0
    copies = [lab.fetched(name) for name in ("get", "libtorrent", "aria2")]
    assert copies == [files] * 3
    size = sum(map(len, files.values()))
    assert last_status(seed)["uploaded"] < 3 * size
    assert last_status(get)["uploaded"] > 0


def test_our_get_takes_from_two_makes_at_once(lab: Lab) -> None:
    files = some_files(16 << 20)
    size = sum(map(len, files.values()))
    lab.share(files, "256KiB")
    with (
        lab.foreign_seed(libtorrent) as one,
        lab.foreign_seed(aria2),
        lab.get("--down-limit", "4MB") as get,
    ):
        assert get.wait() == 0, get.stderr
    assert lab.fetched("get") == files
    assert size // 10 < one.status()["uploaded"] < size * 9 // 10


def last_status(program: Program) -> dict[str, Any]:
    told = [event for event in program.events if event["event"] == "status"]
    return dict(told[-1])
