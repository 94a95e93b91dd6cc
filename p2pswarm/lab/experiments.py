"""Which experiments there are, and what a person may tell them.

The command line reads this table even for `p2pswarm lab --help`, so an experiment is loaded when it is run.
Left alone it ends in about a minute on two cores: few questions, and no floods on the large crawl.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from p2pswarm.lab.progress import Progress
from p2pswarm.lab.results import Result

__all__ = ["EXPERIMENTS", "Experiment", "Settings"]

_SMALL = "p2p-Gnutella08"
_FEW_ORIGINS, _FEW_QUERIES = 10, 3


@dataclass(frozen=True)
class Settings:
    """What was chosen. None leaves it to the experiment.

    The seed decides every throw of the dice: the same settings give the same result.
    """

    topology: str | None = None  # a name that `graphs` knows, or a file
    nodes: int | None = None  # of a graph that is made; a crawl has its own
    origins: int | None = None  # nodes that ask, drawn by the dice
    queries: int | None = None
    seed: int = 1


Experiment = Callable[[Settings, Progress], Result]


def _coverage(settings: Settings, progress: Progress) -> Result:
    """Both crawls once somebody says how many origins; one of the large one's floods takes seconds."""
    from p2pswarm.lab.coverage import coverage
    from p2pswarm.lab.topologies import CRAWLS

    few = (_SMALL,) if settings.origins is None else CRAWLS
    topologies = few if settings.topology is None else (settings.topology,)
    if settings.origins is None:
        progress(
            f"coverage: a quick run, {_FEW_ORIGINS} floods on {topologies[0]}; --origins asks more"
        )
    origins = settings.origins or _FEW_ORIGINS
    return coverage(topologies, origins, settings.seed, progress, settings.nodes)


def _compare(settings: Settings, progress: Progress) -> Result:
    from p2pswarm.lab.compare import compare

    if settings.queries is None:
        progress(f"compare: a quick run, {_FEW_QUERIES} questions; --queries asks more")
    return compare(
        topology=settings.topology or _SMALL,
        things=settings.queries or _FEW_QUERIES,
        seed=settings.seed,
        progress=progress,
        nodes=settings.nodes,
    )


def _robustness(settings: Settings, progress: Progress) -> Result:
    """Things are looked for in a small network, unless somebody says how many."""
    from p2pswarm.lab.graphs import named
    from p2pswarm.lab.robustness import THINGS, robustness

    searched = None
    if settings.queries is not None:
        searched = named(settings.topology or _SMALL, settings.nodes, Random(settings.seed))
    return robustness(
        settings.topology,
        settings.nodes,
        settings.seed,
        progress,
        things=settings.queries or THINGS,
        searched=searched,
    )


def _lookups(settings: Settings, progress: Progress) -> Result:
    from p2pswarm.lab.lookups import PEERS, lookups

    things = settings.queries or _FEW_QUERIES
    return lookups(settings.nodes or PEERS, things, settings.seed, progress)


def _storm(settings: Settings, progress: Progress) -> Result:
    """By default a small one; five thousand nodes take some minutes."""
    from p2pswarm.lab.storm import NODES, QUERIES, storm

    if settings.nodes is None:
        progress(f"storm: a quick run, {NODES} nodes; --nodes takes more")
    return storm(settings.nodes or NODES, settings.queries or QUERIES, settings.seed, progress)


def _people(settings: Settings, progress: Progress) -> Result:
    """By default a small directory; two hundred super nodes and five thousand users take some minutes."""
    from p2pswarm.lab.people.experiment import LOOKUPS, NODES, people

    if settings.nodes is None:
        progress(f"people: a quick run, {NODES} nodes; --nodes takes more")
    return people(settings.nodes or NODES, settings.queries or LOOKUPS, settings.seed, progress)


EXPERIMENTS: Mapping[str, Experiment] = {
    "coverage": _coverage,
    "compare": _compare,
    "robustness": _robustness,
    "lookups": _lookups,
    "storm": _storm,
    "people": _people,
}
"""In the order in which all of them are run."""
