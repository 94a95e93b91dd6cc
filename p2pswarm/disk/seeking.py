"""Files on this machine that may hold what a download misses: folders walked, other torrents asked.

`while (found := seeking.step()) is None: ...` in disk threads, each step milliseconds: a folder may be
somebody's home. Nothing is opened, symbolic links are not followed, and what is remembered is bounded by
`Candidates`, however much there is to see.
"""

import logging
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from p2pswarm.disk.candidates import Candidate, Candidates
from p2pswarm.disk.locate import Place
from p2pswarm.disk.walk import Walk
from p2pswarm.errors import DiskError

if TYPE_CHECKING:
    from p2pswarm.formats.metainfo import File

__all__ = ["Seeking"]

log = logging.getLogger(__name__)

STEP = 1000  # files seen in one step
MOST_KNOWN = 100_000  # files of other torrents that are looked through


class Seeking:
    """`folders` may be files; `known` are other torrents' places, the likeliest first."""

    def __init__(
        self, files: Sequence["File"], folders: Iterable[Path], known: Iterable[Place] = ()
    ) -> None:
        self._found = Candidates(files)
        self._folders = folders
        self._known = known
        self._work = self._seek()

    def step(self) -> Candidates | None:
        """All that was found, once there is no more to see."""
        return self._found if next(self._work, True) else None

    def _seek(self) -> Iterator[bool]:
        """False after each step."""
        yield from self._look_at_known()
        for folder in self._folders:
            try:
                yield from self._walk(folder)
            except DiskError as error:
                log.warning("not re-used: %s", error)

    def _look_at_known(self) -> Iterator[bool]:
        files = ((place.root, file) for place in self._known for file in place.files)
        for number, (root, file) in enumerate(islice(files, MOST_KNOWN)):
            if not file.pad and self._found.wants(file.length):
                self._add(root, file)
            if number % STEP == STEP - 1:
                yield False

    def _add(self, root: Path, file: "File") -> None:
        path = root.joinpath(*file.path)
        try:
            here = path.lstat()
        except OSError:
            return
        if stat.S_ISREG(here.st_mode):
            found = Candidate(root, file.path, here.st_size, here.st_mtime_ns)
            self._found.add(found, file.root)

    def _walk(self, folder: Path) -> Iterator[bool]:
        real = Path(os.path.realpath(folder))  # may be a link: the user named it
        root = real if real.is_dir() else real.parent
        walk = Walk(real, hidden=True)
        while seen := walk.step(STEP):
            for file in seen:
                path = (*file.folder, file.name)
                self._found.add(Candidate(root, path, file.size, file.changed))
            yield False
