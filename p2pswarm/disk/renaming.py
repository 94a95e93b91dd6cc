"""Other names for the files of a download, chosen by a person and kept beside its resume data.

What is kept says the new name and the one before. It is written first, and a file that still has the name
before gets the new one at the next start: a crash between the two leaves nothing undone. Of a download at
work the storage is told of every file in the moment it is renamed: it never looks for one under a name that
another thread just took away.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from p2pswarm.disk.attributes import relative
from p2pswarm.disk.handles import disk_error, open_folder, sync_folder
from p2pswarm.errors import FormatError, HostError, MetainfoError, TargetExistsError
from p2pswarm.formats import bencode, paths
from p2pswarm.formats.files import File

__all__ = ["Rename", "Switch", "recalled", "renamed"]

Rename = tuple[str, str]
"""Of a file or folder, below the torrent's own folder: the old path, the new one."""
_Name = tuple[str, ...]
Switch = Callable[[int, _Name, Callable[[], None]], None]
"""Calls that, after which the file with this number has this name."""
_MAX_SIZE = 64 << 20  # bytes
_Kept = dict[int, tuple[_Name, _Name]]  # file: its name, and the one before


def renamed(
    kept_in: Path,
    root: Path,
    files: Sequence[File],
    renames: Sequence[Rename],
    switch: Switch | None = None,
) -> tuple[File, ...]:
    """The files under their names of now, on the disk too. For a disk thread, which has them locked.

    `files` as the torrent names them. With `switch`, of a download at work, a file that has the new name
    already is somebody else's; else it is looked at as everything that lies there at the start.
    Raises HostError for a name that cannot be, TargetExistsError, DiskError.
    """
    kept = _read(kept_in, len(files))
    if not kept and not renames:
        return tuple(files)
    now = [kept[number][0] if number in kept else file.path for number, file in enumerate(files)]
    fresh = _chosen(now, files, renames, again=switch is None)
    for name, before in kept.values():
        if not _is_there(root, name):  # else it was done, whatever is there now
            _move(root, before, name)
    if fresh:
        _refuse_twins([fresh.get(number, path) for number, path in enumerate(now)], files)
        for path in fresh.values() if switch is not None else ():
            _refuse_taken(root, path)
        old, kept = kept, kept | {number: (path, now[number]) for number, path in fresh.items()}
        _write(kept_in, kept)
        _move_all(root, kept_in, kept, fresh, old, switch or _at_once)
        _drop_links(root, _under(dict(enumerate(now)), files), _under(_names(kept), files))
    return _under(_names(kept), files)


def recalled(kept_in: Path, root: Path, files: Sequence[File]) -> tuple[File, ...]:
    """The files under the names that they have now, for who only reads them. Raises HostError."""
    kept = _names(_read(kept_in, len(files)))
    return _under({n: name for n, name in kept.items() if _is_there(root, name)}, files)


def _names(kept: _Kept) -> Mapping[int, _Name]:
    return {number: name for number, (name, _) in kept.items()}


def _is_there(root: Path, name: _Name) -> bool:
    return os.path.lexists(root.joinpath(*name))


def _under(names: Mapping[int, _Name], files: Sequence[File]) -> tuple[File, ...]:
    now = [names.get(number, file.path) for number, file in enumerate(files)]
    return tuple(
        file._replace(path=path, link=file.link and _followed(file.link, files, now))
        for file, path in zip(files, now, strict=True)
    )


def _drop_links(root: Path, old: Sequence[File], new: Sequence[File]) -> None:
    """Symbolic links of ours that would lead elsewhere now go, and are made again when all is here."""
    for was, is_ in zip(old, new, strict=True):
        path = root.joinpath(*is_.path)
        if was.link and is_.link and path.is_symlink():
            text = relative(was.path, was.link)
            if text == str(path.readlink()) and text != relative(is_.path, is_.link):
                path.unlink()


def _followed(link: _Name, files: Sequence[File], now: Sequence[_Name]) -> _Name:
    """Where the file is, or the folder, that a symbolic link of the torrent leads to."""
    for file, path in zip(files, now, strict=True):
        rest = file.path[len(link) :]
        if file.path[: len(link)] == link and path[len(path) - len(rest) :] == rest:
            return path[: len(path) - len(rest)]
    return link


def _at_once(_number: int, _name: _Name, move: Callable[[], None]) -> None:
    move()


def _move_all(
    root: Path,
    kept_in: Path,
    kept: _Kept,
    fresh: Mapping[int, _Name],
    old: _Kept,
    switch: Switch,
) -> None:
    """What cannot be renamed keeps its name, and the note says so. Raises DiskError."""
    moved = set()
    try:
        for number, name in fresh.items():
            switch(number, name, partial(_move, root, kept[number][1], name))
            moved.add(number)
    except HostError:
        undone = {number for number in fresh if number not in moved}
        left = {number: names for number, names in kept.items() if number not in undone}
        _write(kept_in, left | {n: names for n, names in old.items() if n in undone})
        raise


def _chosen(
    now: Sequence[_Name], files: Sequence[File], renames: Sequence[Rename], *, again: bool
) -> Mapping[int, _Name]:
    """What is said of a file counts more than what is said of its folder, and the last word most. `again`: it
    may have been said in an earlier session."""
    fresh: dict[int, _Name] = {}
    settled: set[int] = set()
    for old, new in sorted(renames, key=lambda each: len(_elements(each[0])))[::-1]:
        was, becomes = _elements(old), _safe(new)
        found = False
        for number, path in enumerate(now):
            folder = path[:1] if len(files[number].path) > 1 else ()
            inner = path[len(folder) :]
            if inner[: len(was)] == was and not files[number].pad:
                found = True
                name = folder + becomes + inner[len(was) :]
                if len(name) > 1 == len(files[number].path):
                    raise HostError(f"{new!r} is in a folder, and the torrent is a file alone")
                if name != path and number not in settled:
                    fresh[number] = name
                settled.add(number)
            elif again and folder + becomes == path[: len(folder + becomes)]:
                found = True
                settled.add(number)
        if not found:
            raise HostError(f"no file or folder of the torrent is {old!r}")
    return fresh


def _elements(text: str) -> _Name:
    return tuple(element for element in text.split("/") if element)


def _safe(text: str) -> _Name:
    """Raises HostError."""
    try:
        return paths.safe_path([each.encode(errors="replace") for each in _elements(text)], "it")
    except MetainfoError as error:
        raise HostError(f"{text!r} is no name for a file: {error}") from error


def _refuse_twins(names: Sequence[_Name], files: Sequence[File]) -> None:
    real = [name for name, file in zip(names, files, strict=True) if not file.pad]
    for name, free in zip(real, paths.without_twins(real), strict=True):
        if name != free:
            raise HostError(f"two files would be {'/'.join(name)}")


def _refuse_taken(root: Path, name: _Name) -> None:
    """Whatever is there is somebody else's. Raises TargetExistsError."""
    path = root.joinpath(*name)
    folders = [root.joinpath(*name[:n]) for n in range(1, len(name))]
    if any(os.path.lexists(each) and (each.is_symlink() or not each.is_dir()) for each in folders):
        raise TargetExistsError(f"{path} cannot be: something is in the way")
    if os.path.lexists(path):
        raise TargetExistsError(f"{path} exists")


def _move(root: Path, old: _Name, new: _Name) -> None:
    source, target = root.joinpath(*old), root.joinpath(*new)
    if not os.path.lexists(source):
        return
    if os.path.lexists(target):
        raise TargetExistsError(f"{target} exists, {source} cannot get its name")
    try:
        _rename(root, old, new)
    except OSError as error:
        raise disk_error("rename", source, error) from error
    with suppress(OSError):  # not empty
        for n in range(len(old) - 1, 1, -1):
            root.joinpath(*old[:n]).rmdir()


def _rename(root: Path, old: _Name, new: _Name) -> None:
    """Never through a symbolic link. Raises OSError."""
    source = open_folder(root, old[:-1], create=False)
    try:
        target = open_folder(root, new[:-1], create=True)
        try:
            os.rename(old[-1], new[-1], src_dir_fd=source, dst_dir_fd=target)
        finally:
            os.close(target)
    finally:
        os.close(source)


def _read(path: Path, files: int) -> _Kept:
    """Raises DiskError, HostError."""
    try:
        data = path.read_bytes()
        value = bencode.decode(data, max_size=_MAX_SIZE)
        kept = {int(number): (_name(new), _name(old)) for number, new, old in value}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise disk_error("read", path, error) from error
    except (FormatError, ValueError, TypeError, AttributeError) as error:
        raise HostError(f"{path} is damaged: remove it, and rename the files again") from error
    return {number: names for number, names in kept.items() if 0 <= number < files}


def _name(value: list[bytes]) -> _Name:
    return paths.safe_path(value, "a name")


def _write(path: Path, kept: _Kept) -> None:
    value = [[n, *([each.encode() for each in name] for name in pair)] for n, pair in kept.items()]
    part = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(bencode.encode(value))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)  # before a file is renamed
    except OSError as error:
        raise disk_error("write", path, error) from error
