"""docs/lab.md is written by a run; its words are ours and stay."""

from pathlib import Path

import pytest

from p2pswarm.lab.experiments import EXPERIMENTS
from p2pswarm.lab.results import Chart, Line, Result, Table, to_json
from scripts.lab_doc import ROOT, filled, main

RESULT = Result(
    name="storm",
    question="Does it hold?",
    facts={"seed": 1, "nodes": 5000},
    tables=(Table("Load", ("role", "messages"), (("super \\1 node", 7),)),),
    charts=(Chart("Load by role", "role", "messages", (Line("all", ((0.0, 1.0),)),)),),
)
PAGE = (
    "# Lab\n\nWords.\n\n<!-- storm -->\nold\n<!-- end -->\n\n<!-- other -->\nkept\n<!-- end -->\n"
)


def test_what_was_found_comes_to_its_place_and_nowhere_else(tmp_path: Path) -> None:
    page, run = tmp_path / "lab.md", tmp_path / "run"
    run.mkdir()
    page.write_text(PAGE)
    (run / "results.json").write_text(f'{{"results":[{to_json(RESULT)}]}}')
    (run / "storm-1.svg").write_text("<svg/>")
    main(run, page)
    text = page.read_text()
    assert text.startswith("# Lab\n\nWords.\n\n<!-- storm -->\n\nseed 1; nodes 5000.\n\n**Load**\n")
    assert "| super \\\\1 node | 7 |\n" in text
    assert "![Load by role](lab/storm-1.svg)\n\n<!-- end -->" in text
    assert text.endswith("<!-- other -->\nkept\n<!-- end -->\n")
    assert "old" not in text
    assert (tmp_path / "lab" / "storm-1.svg").read_text() == "<svg/>"
    assert filled(text, RESULT) == text


def test_a_result_without_a_place_is_an_error() -> None:
    with pytest.raises(SystemExit, match="no place for storm"):
        filled("# Lab\n", RESULT)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_page_has_a_place_for_every_experiment(name: str) -> None:
    page = (ROOT / "docs" / "lab.md").read_text("utf-8")
    told = page.partition(f"<!-- {name} -->\n")[2].partition("<!-- end -->")[0]
    assert "| --- |" in told or "| ---: |" in told or "|---" in told
