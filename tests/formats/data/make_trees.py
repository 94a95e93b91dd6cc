"""Writes `trees.json` beside this file: torrents of both generations as libtorrent makes them, and what they
hold.

Run by hand where libtorrent is new: `.venv/bin/python -m tests.formats.data.make_trees`.
"""

import json
import tempfile
import warnings
from base64 import b64encode
from pathlib import Path
from typing import Any

import libtorrent

from tests.support.generations import contents

KIB = 1 << 10
LENGTHS = [0, 1, 16 * KIB - 1, 16 * KIB, 16 * KIB + 1, 48 * KIB, 64 * KIB, 64 * KIB + 1, 333_333]


def described(piece_length: int, lengths: list[int], *, hybrid: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "t"
        folder.mkdir()
        for number, length in enumerate(lengths):
            (folder / f"f{number}").write_bytes(contents(length, number))
        files = libtorrent.file_storage()
        libtorrent.add_files(files, str(folder))
        flags = 0 if hybrid else libtorrent.create_torrent.v2_only
        made = libtorrent.create_torrent(files, piece_length, flags=flags)
        made.set_creation_date(0)
        libtorrent.set_piece_hashes(made, root)
        torrent = made.generate()
    data = libtorrent.bencode(torrent)
    read = libtorrent.torrent_info(data)
    hashes, stored = read.info_hashes(), read.files()
    return {
        "lengths": lengths,
        "piece_length": piece_length,
        "torrent": b64encode(data).decode(),
        "v1": hashes.v1.to_bytes().hex() if hybrid else None,
        "v2": hashes.v2.to_bytes().hex(),
        "roots": [
            entry[b""].get(b"pieces root", b"").hex()
            for entry in torrent[b"info"][b"file tree"].values()
        ],
        "layers": {root.hex(): layer.hex() for root, layer in torrent[b"piece layers"].items()},
        "stream": [
            [stored.file_path(n), stored.file_size(n), stored.file_offset(n)]
            for n in range(stored.num_files())
        ],
    }


def main() -> None:
    warnings.simplefilter("ignore", DeprecationWarning)
    cases = [
        described(piece_length, lengths, hybrid=hybrid)
        for lengths in (LENGTHS, [100_000])
        for piece_length in (16 * KIB, 64 * KIB)
        for hybrid in (False, True)
    ]
    cases.append(described(256 * KIB, LENGTHS, hybrid=False))
    text = json.dumps({"libtorrent": libtorrent.__version__, "cases": cases}, indent=1)
    Path(__file__).with_name("trees.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
