"""uTP and TCP on one line: the share of each."""

from pathlib import Path

from scripts.ledbat import COMES, RATE, draw, play


def test_utp_uses_a_free_line_and_yields_to_tcp(tmp_path: Path) -> None:
    story = play(end=55.0, goes=55.0)
    assert story.mean(story.utp, 5, COMES) > 0.95 * RATE
    assert story.mean(story.queue, 15, COMES) < 0.13
    assert story.mean(story.utp, 45, 55) < 0.1 * RATE
    assert story.mean(story.tcp, 45, 55) > 0.85 * RATE
    draw(story, tmp_path / "ledbat.svg")
    assert (tmp_path / "ledbat.svg").read_text("utf-8").count("<path") > 10
