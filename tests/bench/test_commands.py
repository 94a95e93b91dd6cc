"""Every question of scripts/bench is a command that says what it does, without what benches alone need."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BENCH = ROOT / "scripts" / "bench"
COMMANDS = sorted(path.name for path in BENCH.iterdir() if path.is_file() and not path.suffix)


def test_there_are_questions() -> None:
    assert {"transfer", "fanout", "limited"} <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_starts_its_module(name: str) -> None:
    path = BENCH / name
    assert os.access(path, os.X_OK)
    assert f'"$python" -m scripts.bench.{name} "$@"' in path.read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_help(name: str) -> None:
    command = [sys.executable, "-m", f"scripts.bench.{name}", "--help"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert {"--runs", "--quick", "--out", "--json"} <= set(told.stdout.replace(",", " ").split())
