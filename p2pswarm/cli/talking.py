"""The options of `call` and `answer`: what is said and heard in a call."""

from dataclasses import dataclass, field
from pathlib import Path

from p2pswarm.config import FLAG, PATH, about

__all__ = ["Talking"]


@dataclass(frozen=True)
class Talking:
    """What is said and heard in a call."""

    in_: Path | None = field(
        default=None, metadata=about(PATH, "say this WAV file", shown="the microphone")
    )
    out: Path | None = field(
        default=None,
        metadata=about(PATH, "write what is heard to this WAV file", shown="the loudspeaker"),
    )
    pipe: bool = field(
        default=False,
        metadata=about(
            FLAG, "standard input comes out at the other side's standard output, and the reverse"
        ),
    )
    audio: bool = field(default=True, metadata=about(FLAG, "say and hear; else it is text only"))

    def __post_init__(self) -> None:
        if self.pipe and (self.in_ or self.out):
            raise ValueError("--pipe has no sound, so there is nothing for --in and --out")

    @property
    def wants(self) -> str:
        return "pipe" if self.pipe else "call"

    @property
    def by_machine(self) -> bool:
        """Nobody sits there: one call is taken, unasked."""
        return self.pipe or self.in_ is not None or self.out is not None
