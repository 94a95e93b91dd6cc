"""What a torrent says, for `info`: as facts for programs, and in words.

Files are numbered from 0, without pad files, as `get --only` takes them: the same in both generations.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from p2pswarm.cli.scraping import in_words
from p2pswarm.cli.text import counted, printable
from p2pswarm.config import format_size

if TYPE_CHECKING:
    from p2pswarm.formats.metainfo import File, Metainfo

__all__ = ["facts_of", "lines_of"]

_FILES_SHOWN = 50


def facts_of(metainfo: "Metainfo") -> dict[str, Any]:
    """All that it says. `info_hash` is its main name, `info_hash_v2` that of version 2 in full."""
    from p2pswarm.formats.related import related

    made = metainfo.creation_date
    files = [file for file in metainfo.files if not file.pad]
    others = related(metainfo)
    return {
        "name": metainfo.name,
        "info_hash": metainfo.info_hash.hex(),
        "info_hash_v2": metainfo.v2.hex() if metainfo.v2 else None,
        "versions": [1] * metainfo.has_v1 + [2] * (metainfo.v2 is not None),
        "size": sum(file.length for file in files),
        "piece_length": metainfo.piece_length,
        "pieces": metainfo.piece_count,
        "private": metainfo.private,
        "similar": [name.hex() for name in others.similar],
        "collections": [name.decode(errors="replace") for name in others.collections],
        "trackers": [list(tier) for tier in metainfo.trackers],
        "web_seeds": list(metainfo.web_seeds),
        "comment": metainfo.comment,
        "source": metainfo.source,
        "created_by": metainfo.created_by,
        "creation_date": made,
        "files": [_file(number, file) for number, file in enumerate(files)],
    }


def _file(number: int, file: "File") -> dict[str, Any]:
    """`root`, `attr` (`x` executable, `h` hidden) and `link` are there where the torrent says them."""
    facts: dict[str, Any] = {"index": number, "path": "/".join(file.path), "length": file.length}
    if file.root:
        facts["root"] = file.root.hex()
    if file.executable or file.hidden:
        facts["attr"] = "x" * file.executable + "h" * file.hidden
    if file.link:
        facts["link"] = "/".join(file.link)
    return facts


def lines_of(key: str, value: Any) -> list[str]:
    """One fact in words; what the torrent does not say is left out."""
    label = key.replace("_", " ")
    match key:
        case "size" | "piece_length":
            value = f"{format_size(value)} ({value} bytes)"
        case "versions":
            value = "1 and 2 (hybrid)" if len(value) > 1 else f"{value[0]}"
        case "private":
            value = "yes: only its trackers may tell of peers" if value else "no"
        case "creation_date":
            value = _date(value) if value is not None else ""
        case "trackers":
            value = " | ".join(" ".join(tier) for tier in value)
        case "web_seeds" | "similar":
            value = " ".join(value)
        case "collections":
            value = ", ".join(value)
        case "files":
            return _file_lines(value)
        case "swarm":
            return [f"{label:14}{in_words(each)}" for each in value]
        case _:
            pass
    return [f"{label:14}{printable(str(value))}"] if value not in ("", None) else []


def _date(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{seconds} (not a date)"


def _file_lines(files: list[dict[str, Any]]) -> list[str]:
    lines = [f"{'files':14}{len(files)}"]
    lines += [_file_line(file) for file in files[:_FILES_SHOWN]]
    if len(files) > _FILES_SHOWN:
        lines.append(f"  … and {counted(len(files) - _FILES_SHOWN, 'more file')}; --json lists all")
    return lines


def _file_line(file: dict[str, Any]) -> str:
    link = f" -> {printable(file['link'])}" if "link" in file else ""
    attr = f"  [{file['attr']}]" if "attr" in file else ""
    root = f"  {file['root']}" if "root" in file else ""
    size = format_size(file["length"])
    return f"  {file['index']:>6}  {size:>12}  {printable(file['path'])}{link}{attr}{root}"
