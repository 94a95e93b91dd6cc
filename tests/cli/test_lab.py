"""`p2pswarm lab`: experiments run, results told and written; one line for each error; Ctrl-C."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from p2pswarm.lab.experiments import EXPERIMENTS
from p2pswarm.lab.results import from_json
from tests.cli.conftest import Command
from tests.support.patience import PATIENCE
from tests.support.processes import ROOT

SMALL = ("--topology", "supernodes", "--nodes", "500")


@pytest.fixture(autouse=True)
def few_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test of the command need not look for things among hundreds."""
    monkeypatch.setattr("p2pswarm.lab.robustness.PEERS", 20)
    for name in ("AT_CHANCE", "AT_BEST"):
        monkeypatch.setattr(f"p2pswarm.lab.robustness.{name}", (0.0, 0.1))


def test_tables_on_stdout_and_progress_on_stderr(command: Command) -> None:
    ran = command("lab", "robustness", *SMALL)
    assert ran.code == 0
    assert ran.out.startswith("Survivors in the largest component: supernodes\n\nremoved ")
    assert ran.err.splitlines()[0] == "p2pswarm: robustness: supernodes"
    assert ran.err.splitlines()[-1].startswith("p2pswarm: robustness: done in ")


def test_a_terminal_sees_the_lines_of_a_pipe(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    piped = command("lab", "robustness", *SMALL)
    monkeypatch.setattr("p2pswarm.cli.text.sys.stdout.isatty", lambda: True)
    assert command("lab", "robustness", *SMALL).out == piped.out


def test_one_json_object(command: Command) -> None:
    ran = command("lab", "robustness", "robustness", *SMALL, "--seed", "7", "--json")
    [result] = json.loads(ran.out)["results"]
    assert (result["name"], result["facts"]["seed"]) == ("robustness", 7)
    assert ran.out == command("lab", "robustness", *SMALL, "--seed", "7", "--json").out


def test_a_folder_with_results_page_and_plots(command: Command) -> None:
    ran = command("lab", "robustness", *SMALL, "--out", "new/pictures")
    assert ran.code == 0, ran.err
    assert ran.err.splitlines()[-1] == "p2pswarm: open new/pictures/report.html"
    folder = Path("new/pictures")
    [kept] = json.loads((folder / "results.json").read_text())["results"]
    assert from_json(json.dumps(kept)).charts
    assert kept["question"] in (folder / "report.html").read_text()
    assert (folder / "robustness-1.svg").read_text().startswith("<?xml")
    assert (folder / "robustness-2.png").read_bytes().startswith(b"\x89PNG")


def test_the_page_is_told_even_without_matplotlib(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    ran = command("lab", "robustness", *SMALL, "--out", "bare")
    assert ran.code == 1
    assert ran.err.splitlines()[-2] == "p2pswarm: open bare/report.html"
    assert "pip install 'p2pswarm[lab]'" in ran.err.splitlines()[-1]
    assert Path("bare/report.html").exists()


def test_a_file_of_edges(command: Command) -> None:
    Path("edges.txt").write_text("# a triangle\n1 2\n2\t3\n3 1\n")
    ran = command("lab", "robustness", "--topology", "edges.txt", "--json")
    [result] = json.loads(ran.out)["results"]
    assert result["facts"]["graphs"] == "edges.txt"


def test_all_of_them(command: Command) -> None:
    """On a ring where everybody knows the next two."""
    lines = [f"{node} {(node + step) % 60}" for node in range(60) for step in (1, 2)]
    Path("ring.txt").write_text("\n".join(lines))
    few = ("--origins", "2", "--queries", "1", "--topology", "ring.txt", "--nodes", "500")
    ran = command("lab", "all", *few, "--json")
    results = json.loads(ran.out)["results"]
    assert [result["name"] for result in results] == list(EXPERIMENTS)
    facts = {result["name"]: result["facts"] for result in results}
    assert facts["coverage"]["origins of each"] == 2
    assert (facts["compare"]["questions"], facts["compare"]["peers"]) == (1, 60)
    assert "coverage: ring.txt, 60 nodes" in ran.err
    assert "a quick run" not in ran.err


def test_a_quick_run_says_that_it_is_one(command: Command) -> None:
    Path("ring.txt").write_text("\n".join(f"{node} {(node + 1) % 60}" for node in range(60)))
    ran = command("lab", "coverage", "--topology", "ring.txt")
    assert "p2pswarm: coverage: a quick run, 10 floods on ring.txt; --origins asks more" in ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Missing argument 'EXPERIMENT'. (see p2pswarm lab --help)"),
        (["nosuch"], "'nosuch' is no experiment: coverage, "),
        (["robustness", "--topology", "nosuch"], "--topology: nosuch: No such file or directory"),
        (["robustness", "--topology", "no.edges"], "--topology: no.edges is no list of edges"),
        (["robustness", "--topology", "."], "--topology: .: Is a directory"),
        (["robustness", "--nodes", "3"], "--nodes: 3 is not a whole number from 500 to 1000000"),
        (["robustness", "--seed", "x"], "--seed: 'x' is not a whole number"),
        (["robustness", "--queries", "0"], "--queries: 0 is not a whole number from 1"),
    ],
)
def test_wrong_usage_is_one_line(command: Command, arguments: list[str], said: str) -> None:
    Path("no.edges").write_text("1 2 3\n")
    ran = command("lab", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1


def test_a_folder_that_cannot_be_made_is_said_before_the_work(command: Command) -> None:
    Path("file").touch()
    ran = command("lab", "robustness", *SMALL, "--out", "file/x")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "p2pswarm: file/x: Not a directory\n"


@contextmanager
def lab(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "p2pswarm", "lab", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def test_wrong_usage_in_a_process_of_its_own() -> None:
    with lab("nosuch") as process:
        out, err = process.communicate()
    assert (process.returncode, out) == (2, "")
    assert "is no experiment" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it_at_once(number: signal.Signals) -> None:
    with lab("robustness", "--topology", "random", "--nodes", "500000") as process:
        assert process.stderr is not None
        assert "robustness: random" in process.stderr.readline()
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (130, "", "")


def test_the_other_commands_do_not_load_it() -> None:
    code = (
        "import sys; from p2pswarm.cli.app import run; run(['--help']); run(['health', '--help']);"
        "assert not [name for name in sys.modules if name.startswith(('p2pswarm.lab', 'tracker'))]"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
