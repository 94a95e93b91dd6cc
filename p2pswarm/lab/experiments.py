"""Which experiments there are, and what they may be told.

The command line reads this table, so it imports none of them. The experiment `NAME` is the function `NAME` of
the room `p2pswarm/lab/NAME.py`; it takes `Settings` and a `Progress`, and gives a `Result`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from p2pswarm.lab.results import Result

__all__ = ["EXPERIMENTS", "Experiment", "Progress", "Settings", "experiment"]

EXPERIMENTS = {
    "robustness": "what holds together when nodes leave: by chance, or the best connected first",
}
"""Each with what it asks, in the order in which all of them are run."""


@dataclass(frozen=True)
class Settings:
    """What a person may choose. None leaves it to the experiment, which then ends within a minute.

    The seed decides every throw of the dice: the same settings give the same result.
    """

    topology: str | None = None  # a name that `topologies` knows, or a file
    nodes: int | None = None  # of a graph that is made; a crawl has its own
    origins: int | None = None  # nodes that ask, drawn by the dice
    queries: int | None = None
    seed: int = 1


Progress = Callable[[str], None]
"""Is told how far the work is, as often as one likes."""

Experiment = Callable[[Settings, Progress], Result]


def experiment(name: str) -> Experiment:
    """One of `EXPERIMENTS`, loaded now."""
    return cast("Experiment", getattr(import_module(f"p2pswarm.lab.{name}"), name))
