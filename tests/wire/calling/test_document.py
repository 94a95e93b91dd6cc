"""The examples in docs/protocols/calls.md are what is sent, and its table is what is read."""

import re
from pathlib import Path

from p2pswarm.calling.control import MOST, ROOM
from p2pswarm.calling.line import KEEP_EVERY, LOST_AFTER, MOST_UNSENT, SILENT_AFTER
from p2pswarm.calling.media import DEAF_AFTER
from p2pswarm.calling.sealing import Opener, media_keys
from p2pswarm.wire.calling.frames import MOST_BODY, CallFrame, CallFramer, CallHello, CallKind
from p2pswarm.wire.calling.media import Report, Voice, read_media
from tests.support.feeding import feed

DOCUMENT = (Path(__file__).parents[3] / "docs/protocols/calls.md").read_text("utf-8")
EXAMPLES = [bytes.fromhex(text) for text in re.findall(r"```hex\n(.+?)```", DOCUMENT, re.DOTALL)]
FRAMES = feed(CallFramer(), b"".join(EXAMPLES[:-1]))


def test_there_is_an_example_of_every_kind() -> None:
    kinds = [frame.kind for frame in FRAMES if isinstance(frame, CallFrame)]
    assert sorted(kinds) == sorted(CallKind)
    assert b"".join(each.encode() for each in FRAMES if isinstance(each, CallFrame)) == b"".join(
        EXAMPLES[:-1]
    )


def test_the_table_of_kinds_is_the_one_we_go_by() -> None:
    rows = re.findall(r"^\| ([0-9a-f]{2}) \| ([A-Z_]+) \| (yes|no) \|", DOCUMENT, re.MULTILINE)
    assert {int(kind, 16): name for kind, name, _ in rows} == {
        int(kind): kind.name for kind in CallKind
    }
    counted = {name for _, name, counts in rows if counts == "yes"}
    numbered = {CallKind(f.kind).name for f in FRAMES if isinstance(f, CallFrame) and f.number}
    assert counted == numbered


def test_media_inside_and_outside_the_stream() -> None:
    hello, *_, last = FRAMES
    assert isinstance(hello, CallFrame)
    assert isinstance(last, CallFrame)
    assert isinstance(read_media(last.body), Report)
    caller = CallHello.read(hello.body)
    callee = CallHello(caller.session, "answer", b"b" * 32)
    sealed = Opener(media_keys(caller, callee)[0], caller.session)
    assert isinstance(read_media(sealed.open(EXAMPLES[-1])), Voice)


def test_the_figures_are_ours() -> None:
    assert f"at most {MOST_BODY:,}".replace(",", " ") in DOCUMENT
    assert f"At most {ROOM >> 10} KiB" in DOCUMENT
    assert f"not take more than {2 * MOST >> 20} MiB beyond" in DOCUMENT
    assert KEEP_EVERY == 1
    assert "HEARD every second;" in DOCUMENT
    assert f"\n{SILENT_AFTER:.0f} seconds of silence" in DOCUMENT
    assert f"after {LOST_AFTER:.0f} without any" in DOCUMENT
    assert f"none came for {DEAF_AFTER} seconds" in DOCUMENT
    assert f"unless more than {MOST_UNSENT >> 10} KiB wait" in DOCUMENT
