import os
import signal
import time
from pathlib import Path

import pytest

from scripts.bench.programs import PYTHON, BenchError, missing, program

SAYS = """
import json, sys
for number in range(3):
    print(json.dumps({"event": "counted", "number": number}), flush=True)
print("done", flush=True)
"""
LIVES = 'print("{\\"event\\": \\"up\\"}", flush=True); import signal; signal.pause()'


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_events_are_waited_for_by_name_and_fields() -> None:
    before = time.monotonic()
    with program(PYTHON, "-c", SAYS) as running:
        told = running.wait_for("counted", number=2)
        assert running.wait_for("counted")["number"] == 0, "from the beginning on"
        assert running.wait_for_line() == "done"
        running.wait()
    assert before <= told["heard"] <= time.monotonic()


def test_the_end_before_the_event_is_an_error_with_its_last_words() -> None:
    with program(PYTHON, "-c", "raise SystemExit('no luck')") as running:
        with pytest.raises(BenchError, match="ended before it said never: no luck"):
            running.wait_for("never")
        with pytest.raises(BenchError, match="ended with 1"):
            running.wait()


def test_usage_is_what_the_kernel_counted() -> None:
    work = "data = bytearray(200 << 20); sum(range(3_000_000))"
    with program(PYTHON, "-c", work) as running:
        used = running.wait()
    assert used.memory > 200 << 20
    assert used.cpu > 0.01


def test_a_program_is_stopped_by_a_signal_and_its_code_checked() -> None:
    with program(PYTHON, "-c", LIVES) as running:
        running.wait_for("up")
        assert running.usage().memory > 1 << 20
        running.stop(signal.SIGTERM, allow=(-signal.SIGTERM,))
    assert gone(running.pid)


def test_nothing_is_left_behind() -> None:
    with program(PYTHON, "-c", LIVES) as running:
        running.wait_for("up")  # and the bench has no more to do with it
    assert gone(running.pid)


def test_patience_has_an_end() -> None:
    with (
        program(PYTHON, "-c", LIVES, patience=0.3) as running,
        pytest.raises(BenchError, match="not within"),
    ):
        running.wait()
    assert gone(running.pid)


def test_the_user_s_settings_do_not_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("P2PSWARM_UP_LIMIT", "1kB/s")
    show = "import os; print([name for name in os.environ if name.startswith('P2PSWARM_')])"
    with program(PYTHON, "-c", show) as running:
        assert running.wait_for_line() == "[]"


def test_missing_programs_are_named_by_their_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aria2 = tmp_path / "aria2c"
    aria2.touch(mode=0o755)
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    assert missing("aria2c") == ""
    assert missing("aria2c", "mktorrent", "ip") == "mktorrent iproute2"
