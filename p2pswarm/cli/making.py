"""`create` and `info`: a torrent made (for `share`, too), a torrent looked at."""

import json
import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from p2pswarm.cli.describing import facts_of, lines_of
from p2pswarm.cli.exits import CommandError, Exit
from p2pswarm.cli.options import (
    Creation,
    Listing,
    Output,
    PathArgument,
    Progress,
    Replacing,
    Scraping,
    TorrentArgument,
)
from p2pswarm.cli.report import Report
from p2pswarm.cli.scraping import swarm_sizes
from p2pswarm.cli.text import tell_result
from p2pswarm.cli.views import Sample
from p2pswarm.errors import DiskError, FormatError

if TYPE_CHECKING:
    from p2pswarm.disk.gathering import Choice
    from p2pswarm.formats.building import Generation
    from p2pswarm.formats.ids import InfoHash
    from p2pswarm.formats.metainfo import Metainfo

__all__ = ["create", "hashing", "info", "load", "made"]


def create(
    path: PathArgument, output: Output, creation: Creation, replacing: Replacing, progress: Progress
) -> Exit:
    """Make a .torrent of a file or folder, and print its name."""
    target = _target(output.output, path)
    with Report(progress) as report:
        if target.exists():
            if not replacing.force:
                raise _exists(target)
            if not target.is_file():  # a device would be a file from then on, for everybody
                raise CommandError(f"{target} is not a file, so it is not replaced", Exit.ERROR)
        if not target.parent.is_dir():  # said now, not after an hour of hashing
            raise CommandError(f"{target.parent} is not a folder", Exit.ERROR)
        show = hashing(called(path), "hashing", report)
        metainfo = made(path, creation, creation.tracker, show, report.note)
        _write(target, metainfo.raw, replace=replacing.force)
        names = {"info_hash": metainfo.info_hash.hex()}
        if metainfo.v2 is not None:
            names["info_hash_v2"] = metainfo.v2.hex()
        report.result(str(target), path=str(target), **names)
    return Exit.OK


def made(
    path: Path,
    creation: Creation,
    trackers: Sequence[str],
    progress: Callable[[int, int], None],
    warn: Callable[[str], None],
) -> "Metainfo":
    """The torrent of `path` as the options say, with these trackers; nothing is written.

    What `progress` raises ends it. Raises HostError, CommandError.
    """
    from p2pswarm.disk.create import create

    return create(
        path,
        generation=_generation(creation),
        trackers=trackers,
        piece_length=creation.piece_length,
        private=creation.private,
        comment=creation.comment,
        source=creation.source,
        choice=_choice(creation),
        web_seeds=creation.web_seed,
        similar=[_name(each) for each in creation.similar],
        collections=creation.collection,
        reuse=load(creation.reuse_pieces) if creation.reuse_pieces else None,
        progress=progress,
        warn=warn,
        now=int(time.time()) if creation.date else None,
    )


def _generation(creation: Creation) -> "Generation":
    from p2pswarm.formats.building import Generation

    if creation.hybrid:
        return Generation.HYBRID
    return Generation.V2 if creation.v2 else Generation.V1


def _choice(creation: Creation) -> "Choice":
    from p2pswarm.disk.gathering import Choice, Links

    links = Links.FOLLOW if creation.follow_symlinks else Links.SKIP
    if creation.keep_symlinks:
        links = Links.KEEP
    return Choice(creation.exclude, creation.include, links)


def _name(text: str) -> "InfoHash":
    """The info-hash written out (of SHA-256 the first 20 bytes, BEP 52), or that of a .torrent file."""
    from p2pswarm.formats.ids import InfoHash

    if re.fullmatch(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}", text):
        return InfoHash(bytes.fromhex(text)[:20])
    return load(Path(text)).info_hash


def called(path: Path) -> str:
    """The name of a file or folder, whatever links lead there; links in a circle keep theirs."""
    return Path(os.path.realpath(path)).name


def hashing(name: str, state: str, report: Report) -> Callable[[int, int], None]:
    """A callback for (bytes done, bytes in all) that shows rate and remaining time."""
    began = shown = time.monotonic()
    last = -1

    def show(done: int, total: int) -> None:
        nonlocal shown, last
        now = time.monotonic()
        if done == last or (now - shown < report.every and done < total):
            return
        shown, last = now, done
        rate = done / max(now - began, 1e-6)
        eta = (total - done) / rate if rate else None
        report.status(Sample(name, state, done, total, rate, eta=eta))

    return show


def info(torrent: TorrentArgument, listing: Listing, scraping: Scraping) -> Exit:
    """Show what a .torrent says. With --scrape its trackers say how large the swarm is, too."""
    metainfo = load(torrent)
    facts = facts_of(metainfo)
    if scraping.scrape:
        if not metainfo.trackers:
            raise CommandError(f"{torrent} has no tracker that could be asked", Exit.NETWORK)
        facts["swarm"] = swarm_sizes(metainfo)
    if listing.json:
        tell_result(json.dumps(facts))
    else:
        for key, value in facts.items():
            for line in lines_of(key, value):
                tell_result(line)
    unheard = scraping.scrape and all("error" in each for each in facts["swarm"])
    return Exit.NETWORK if unheard else Exit.OK


def load(torrent: Path) -> "Metainfo":
    """The .torrent file. Raises CommandError with the code of a bad torrent, also where there is none."""
    from p2pswarm.formats.metainfo import Metainfo

    if str(torrent).startswith("magnet:"):
        raise CommandError(
            "a magnet link says too little for this, give a .torrent", Exit.BAD_TORRENT
        )
    try:
        return Metainfo.from_file(torrent)
    except FormatError as error:
        raise CommandError(f"{torrent}: {error}", Exit.BAD_TORRENT) from error
    except DiskError as error:
        raise CommandError(str(error), Exit.BAD_TORRENT) from error


def _target(output: Path | None, path: Path) -> Path:
    name = Path(f"{called(path)}.torrent")
    if output is None:
        return name
    return output / name if output.is_dir() else output


def _exists(target: Path) -> CommandError:
    return CommandError(f"{target} exists already, --force replaces it", Exit.TARGET_EXISTS)


def _write(target: Path, data: bytes, *, replace: bool) -> None:
    """A torrent that is there stays until the new one is whole. Raises CommandError, OSError."""
    part = target.with_name(f".{target.name}.part")
    try:
        part.write_bytes(data)
        if replace:
            part.replace(target)
        else:
            target.hardlink_to(part)
    except FileExistsError as error:
        raise _exists(target) from error
    finally:
        part.unlink(missing_ok=True)
