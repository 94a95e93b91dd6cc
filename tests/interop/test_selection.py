"""Some files of a torrent (BEP 53), from and to a client that has no others: a partial seed (BEP 21)."""

import pytest

from p2pswarm.formats.metainfo import Metainfo
from tests.interop.lab import ODD_FILES, Lab, StartClient
from tests.interop.table import GIVES, TAKES, part
from tests.support.foreign import libtorrent, until

pytestmark = pytest.mark.interop

LIBTORRENT = pytest.mark.parametrize("client", [libtorrent])
KINDS = pytest.mark.parametrize("kind", ["--v1", "--hybrid", "--v2"])
ROW = "a selection of files (BEP 53, 21)"
CHOSEN = ("block and one", "z")  # neither of them ends at the end of a piece


def link(lab: Lab) -> str:
    """That selects: with the numbers of all clients, which count pad files."""
    files = Metainfo.from_file(lab.torrent).files
    numbers = [str(n) for n, file in enumerate(files) if file.path[-1] in CHOSEN]
    assert len(numbers) == len(CHOSEN)
    return f"{lab.link}&so={','.join(numbers)}"


def chosen(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: files.get(name, b"") for name in CHOSEN}


WANTED = chosen(dict(ODD_FILES))


@LIBTORRENT
@KINDS
@part(ROW, TAKES)
def test_takes_from_our_partial_seed(client: StartClient, kind: str, lab: Lab) -> None:
    lab.share(ODD_FILES, kind=kind)
    with lab.get("--stay", source=link(lab)) as get:
        with lab.seed():
            get.wait_for("completed")
        assert set(lab.fetched("get")) == set(CHOSEN)
        with lab.foreign_get(client, link(lab)) as peer:
            until(peer.is_complete, "the download of what is chosen")
        assert get.stop() == 0, get.stderr
    assert chosen(lab.fetched(client.__name__)) == chosen(lab.fetched("get")) == WANTED


@LIBTORRENT
@KINDS
@part(ROW, GIVES)
def test_gives_what_was_chosen(client: StartClient, kind: str, lab: Lab) -> None:
    lab.share(ODD_FILES, kind=kind)
    with lab.foreign_get(client, link(lab)) as peer:
        with lab.seed():
            until(peer.is_complete, "the download of what is chosen")
        with lab.get(source=link(lab)) as get:
            assert get.wait() == 0, get.stderr
    assert lab.fetched("get") == WANTED
