"""What the directory of people must show: three steps to anybody, while super nodes die and others lie; and
how it comes back when half of them die at once, as Skype's did in 2007 and 2010.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, quantiles

from p2pswarm.lab.people.trials import Bench, Lookups, Mode
from p2pswarm.lab.people.world import Server
from p2pswarm.lab.progress import Progress, quietly
from p2pswarm.lab.results import Chart, Line, Result, Table

__all__ = ["people"]

NODES = 1040
USERS_EACH = 25  # for each super node
LOOKUPS = 200  # of each row
RATE = 20.0  # lookups begun in one second
DYING, DYING_TIME = 0.2, 60.0
LYING = 0.1
AFTER_DEATH = 10.0
WATCHED = 120.0  # seconds after half of all have died
MODES: tuple[Mode, ...] = ("iterative", "recursive")


def people(
    nodes: int = NODES, lookups: int = LOOKUPS, seed: int = 1, progress: Progress = quietly
) -> Result:
    """`nodes` are super nodes and their users."""
    supers = max(nodes // (1 + USERS_EACH), 4)
    bench = Bench(supers, nodes - supers, seed)
    bench.build(progress)
    shape = _shape(bench)
    rows = [
        row
        for condition in ("all are there", "20 % have just died", "10 % lie")
        for row in _rows(bench, condition, lookups, progress)
    ]
    dying = _dying(bench, lookups, progress)
    back, charts = _catastrophe(bench, lookups, progress)
    facts = {"super nodes": supers, "users": nodes - supers, "seed": seed}
    question = "Is anybody found by name in three steps, and what happens when super nodes die?"
    return Result("people", question, facts, (shape, _costs(rows), dying, back), charts)


def _shape(bench: Bench) -> Table:
    servers = bench.world.servers()
    sizes = Counter(server.directory.slot for server in servers)
    contacts = [len(server.directory.contacts.live) for server in servers]
    kept = [len(server.directory.records) for server in servers]
    before, since = bench.world.messages, 10.0
    bench.world.run(since)
    rate = (bench.world.messages - before) / since / len(servers)
    rows = (
        ("slots", len(sizes)),
        ("super nodes in a slot: fewest", min(sizes.values())),
        ("super nodes in a slot: mean", round(fmean(sizes.values()), 1)),
        ("super nodes in a slot: most", max(sizes.values())),
        ("other super nodes that one knows: mean", round(fmean(contacts), 1)),
        ("records that one keeps: mean", round(fmean(kept), 1)),
        ("messages that one sends in a second, with nobody asking", round(rate, 1)),
        ("gaps and overlaps", round(abs(1 - sum(0.5**slot.length for slot in sizes)), 3)),
    )
    return Table("How it has ordered itself", ("", "value"), rows)


# Lookups

_Row = tuple[str, Mode, Lookups]


def _rows(bench: Bench, condition: str, lookups: int, progress: Progress) -> list[_Row]:
    rows: list[_Row] = []
    for mode in MODES:
        progress(f"people: {condition}, {mode}")
        undo = _begin(bench, condition)
        rows.append((condition, mode, bench.lookups(mode, lookups, lookups / RATE)))
        for server in undo:
            server.lie = None
        if condition.endswith("died"):
            _replace(bench, undo)
    return rows


def _begin(bench: Bench, condition: str) -> Sequence[Server]:
    if condition.endswith("died"):
        return bench.kill_share(DYING)
    return bench.corrupt(LYING) if condition.endswith("lie") else ()


def _replace(bench: Bench, dead: Sequence[Server]) -> None:
    """As many come as have died, at the same addresses."""
    for server in dead:
        known = bench.dice.sample(bench.world.servers(), 3)
        bench.world.start([each.address for each in known], server.address)
        bench.world.run(0.5)
    bench.world.run(60)


def _costs(rows: Sequence[_Row]) -> Table:
    columns = (
        "super nodes", "lookup", "found, %", "hops: mean", "hops: most", "asker: messages",
        "asker: bytes", "inside: messages", "inside: bytes", "ms: median", "ms: 99 of 100",
    )  # fmt: skip
    note = (
        "Hops are super nodes one behind the other. Ways take 10 to 90 ms. Have just died: they are asked "
        "before anybody noticed. Who lies to whoever asks by datagram forges, denies or misleads. Inside: "
        "between super nodes."
    )
    return Table("What a lookup costs", columns, tuple(map(_cost, rows)), note)


def _cost(row: _Row) -> tuple[object, ...]:
    condition, mode, told = row
    found, n = told.found, max(told.asked, 1)
    times = sorted(1000 * each.seconds for each in found) or [0.0]
    cuts = quantiles(times, n=100, method="inclusive") if len(times) > 1 else times * 99
    return (
        condition,
        mode,
        round(100 * told.share(), 2),
        round(fmean(each.hops for each in found), 2),
        max(each.hops for each in found),
        round(fmean(each.messages for each in told.outcomes), 1),
        round(fmean(each.size for each in told.outcomes)),
        round(told.inside / n, 1),
        round(told.inside_bytes / n),
        round(cuts[49]),
        round(cuts[98]),
    )


def _dying(bench: Bench, lookups: int, progress: Progress) -> Table:
    """One after the other within a minute, and nobody is replaced."""
    progress("people: super nodes die while others are looked up")
    dead = bench.kill_share(DYING, DYING_TIME)
    told = bench.lookups("as the product", 5 * lookups, DYING_TIME + AFTER_DEATH)
    rows = (
        ("super nodes that died", len(dead)),
        ("lookups", told.asked),
        ("found, %", round(100 * told.share(), 2)),
        ("hops: most", max(each.hops for each in told.found)),
        ("slowest, ms", round(1000 * max(each.seconds for each in told.found))),
    )
    note = "As the product looks up: by a walk, and by its homes when that finds nobody."
    _replace(bench, dead)
    return Table(f"{DYING:.0%} die within {DYING_TIME:.0f} s", ("", "value"), rows, note)


# Half of all at once


@dataclass(frozen=True, slots=True)
class _Second:
    """What was seen in one second."""

    at: float
    logins: int
    fullest: int
    homeless: int


def _catastrophe(bench: Bench, lookups: int, progress: Progress) -> tuple[Table, tuple[Chart, ...]]:
    world, began = bench.world, bench.world.now
    before = sum(user.logins for user in bench.users)
    dead = bench.kill_share(0.5)
    asked: list[tuple[float, bool]] = []
    seconds: list[_Second] = []
    each = max(lookups // 10, 1)  # begun in one second
    for number in range(round(WATCHED)):
        progress(f"people: {number} s after half of all died")
        for place in range(each):
            world.later(place / each, lambda: _ask(bench, began, asked))
        world.run(1.0)
        seconds.append(_second(bench, began))
    world.run(20)
    lost = sum(not user.choosing.homes for user in bench.users)
    logins = sum(user.logins for user in bench.users) - before
    rows = (
        ("super nodes that died", len(dead)),
        ("users who lost a home", _losers(bench, dead)),
        ("users without any home, at the worst moment", max(each.homeless for each in seconds)),
        ("logins in the end", logins),
        ("most logins in one second, everywhere", max(each.logins for each in seconds)),
        ("at one super node", max(each.fullest for each in seconds)),
        ("seconds until 999 of 1000 users are at home", _when(seconds, len(bench.users) // 1000)),
        ("until all are", _when(seconds, 0)),
        ("seconds until 999 of 1000 lookups find", _back(asked)),
        ("lookups that found nobody, of all", f"{sum(not ok for _, ok in asked)} of {len(asked)}"),
        ("without a home in the end", lost),
    )
    return Table("Half of all super nodes die at once", ("", "value"), rows), (_chart(seconds),)


def _ask(bench: Bench, began: float, asked: list[tuple[float, bool]]) -> None:
    at = bench.world.now - began
    bench.ask("as the product", lambda outcome: asked.append((at, outcome.found)))


def _second(bench: Bench, began: float) -> _Second:
    now = bench.world.now
    counts = [sum(at > now - 1 for at in each.logins) for each in bench.world.servers()]
    homeless = sum(not user.choosing.homes for user in bench.users)
    return _Second(now - began, sum(counts), max(counts), homeless)


def _losers(bench: Bench, dead: Sequence[Server]) -> int:
    return len({guest.address for server in dead for guest in server.guests})


def _when(seconds: Sequence[_Second], most: int) -> float | None:
    """From when on no more than so many are without one."""
    late = [each.at for each in seconds if each.homeless > most]
    return None if seconds[-1].homeless > most else round(max(late, default=0.0)) + 1


def _back(asked: Sequence[tuple[float, bool]]) -> float:
    """From when on no more than one in a thousand failed."""
    failed = sorted(at for at, found in asked if not found)
    most = len(asked) // 1000
    return round(failed[-most - 1]) + 1 if len(failed) > most else 0


def _chart(seconds: Sequence[_Second]) -> Chart:
    lines = (
        Line("logins", tuple((each.at, float(each.logins)) for each in seconds)),
        Line("users without any home", tuple((each.at, float(each.homeless)) for each in seconds)),
    )
    return Chart("After half of all super nodes died", "seconds", "in one second", lines)
