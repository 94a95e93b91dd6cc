"""What a run of the laboratory found becomes part of docs/lab.md: nobody types a figure there.

The page has a place for each experiment, from `<!-- NAME -->` to `<!-- end -->`. What stands between is
written anew: what was held fixed, the tables, and the plots, which are copied to docs/lab/.
"""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from p2pswarm.lab.results import Result, from_json
from p2pswarm.lab.tables import as_markdown

ROOT = Path(__file__).parents[1]


def main(folder: Path, page: Path) -> None:
    pictures = page.with_suffix("")
    pictures.mkdir(exist_ok=True)
    text = page.read_text("utf-8")
    for found in json.loads((folder / "results.json").read_text("utf-8"))["results"]:
        result = from_json(json.dumps(found))
        text = filled(text, result)
        for name in plots(result):
            shutil.copyfile(folder / name, pictures / name)
    page.write_text(text, "utf-8")


def filled(text: str, result: Result) -> str:
    """The page with this result in its place."""
    place = re.compile(rf"(<!-- {re.escape(result.name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not place.search(text):
        raise SystemExit(f"the page has no place for {result.name}")
    told = "\n\n".join(parts(result))
    return place.sub(lambda match: f"{match[1]}\n{told}\n\n{match[2]}", text)


def parts(result: Result) -> Iterator[str]:
    yield "; ".join(f"{name} {value}" for name, value in result.facts.items()) + "."
    yield from map(as_markdown, result.tables)
    for chart, name in zip(result.charts, plots(result), strict=True):
        yield f"![{chart.title}](lab/{name})"


def plots(result: Result) -> list[str]:
    return [f"{result.name}-{number}.svg" for number in range(1, len(result.charts) + 1)]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: scripts/lab-doc FOLDER (of p2pswarm lab all --out FOLDER)")
    main(Path(sys.argv[1]), ROOT / "docs" / "lab.md")
