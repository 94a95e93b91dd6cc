"""The options of `get` about this machine's disk: what is taken from it, and where the files go."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import platformdirs

from p2pswarm.cli.exits import CommandError, Exit
from p2pswarm.config import FLAG, PATH, about

__all__ = ["Memory", "MovingTo", "Placing"]


@dataclass(frozen=True)
class Placing:
    """`reuse` is only read."""

    reuse: tuple[Path, ...] = field(
        default=(),
        metadata=about(
            PATH,
            "take what is the same from this folder or file instead of the network; may be repeated",
            repeat=True,
        ),
    )
    move_to: Path | None = field(
        default=None,
        metadata=about(PATH, "move the files to this folder when they are complete"),
    )
    preallocate: bool = field(
        default=False, metadata=about(FLAG, "take the room on the disk before the first byte comes")
    )

    def check(self) -> None:
        """Raises CommandError for a folder that is not there: better now than after the download."""
        for folder in self.reuse:
            if not folder.exists():
                raise CommandError(f"{folder} does not exist", Exit.ERROR)
        if self.move_to is not None and self.move_to.exists() and not self.move_to.is_dir():
            raise CommandError(f"{self.move_to} is not a folder", Exit.ERROR)


@dataclass(frozen=True)
class MovingTo:
    """Where `move` moves to."""

    to: Path = field(metadata=about(PATH, "the folder that the files go to"))


@dataclass(frozen=True)
class Memory:
    """Where a node noted what it knows of its downloads, under the name by which it was told."""

    data_dir: Path = field(
        default_factory=partial(platformdirs.user_data_path, "p2pswarm"),
        metadata=about(PATH, "what is known of downloads is here", shown="$XDG_DATA_HOME/p2pswarm"),
    )
