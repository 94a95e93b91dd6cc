"""Where a torrent's files lie, when a person only says "the data is there".

`data` may be the torrent's own file or folder, under any name, or the folder that holds it. Names that only
differ in case were numbered by us when we downloaded them, and are as the torrent gives them anywhere else:
the spelling that finds more files is taken.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from p2pswarm.formats.metainfo import File, Metainfo

__all__ = ["Place", "locate"]


class Place(NamedTuple):
    """`files` are relative to `root`; `path` is the torrent's own file or folder."""

    root: Path
    files: tuple[File, ...]
    path: Path

    def named(self, files: Sequence[File], *, alone: bool) -> "Place":
        """Its files under other names; the one of a torrent that has just one is `alone`."""
        path = self.root.joinpath(*files[0].path) if alone else self.path
        return Place(self.root, tuple(files), path)


def locate(metainfo: Metainfo, data: Path) -> Place:
    """Find the files of `metainfo` at `data`; whether they are there is not asked."""
    inside = data / metainfo.name
    if data.is_dir() and (metainfo.single_file or inside.is_dir()):
        return _best_spelling(metainfo, data, metainfo.name, inside)
    whole = data.absolute()
    return _best_spelling(metainfo, whole.parent, whole.name, data)


def _best_spelling(metainfo: Metainfo, root: Path, name: str, path: Path) -> Place:
    spellings = [metainfo.files]
    if metainfo.renamed:
        spellings.append(metainfo.files_as_given())
    places = [Place(root, _under(name, files), path) for files in spellings]
    return max(places, key=_found) if len(places) > 1 else places[0]


def _under(name: str, files: Sequence[File]) -> tuple[File, ...]:
    if all(file.path[0] == name for file in files):
        return tuple(files)
    return tuple(
        file._replace(path=(name, *file.path[1:]), link=file.link and (name, *file.link[1:]))
        for file in files
    )


def _found(place: Place) -> int:
    return sum(place.root.joinpath(*file.path).exists() for file in place.files)
