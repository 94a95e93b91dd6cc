"""What Napster's lines cannot hold, or not whole, was said all the same.

A hit that a person wrote by hand ended a download as "a bug in p2pswarm"; a question of more than 2048 bytes
made the server hang up, as did a long name that another server had told.
"""

import pytest

from p2pswarm.errors import NetworkError
from p2pswarm.formats.words import MAX_WORD, MAX_WORDS
from p2pswarm.overlay.napster.results import question_for
from p2pswarm.overlay.query import Hit, Query
from tests.support.scripted_napster import Server, client


@pytest.mark.parametrize(
    ("nick", "name"),
    [("a b", "x.mp3"), ("\0", "x.mp3"), ("bob", 'a"b.mp3'), ("bob", "x" * 2048), ("", "x")],
)
async def test_such_a_hit_cannot_be_asked_for(nick: str, name: str) -> None:
    async with Server() as server, client(server.address, join=False) as network:
        hit = Hit(name, 1, "napster", nick=nick)
        with pytest.raises(NetworkError, match="no Napster server can be asked for"):
            await network.fetch(hit, 0, lambda _: True)


def test_such_a_question_is_not_asked() -> None:
    words = tuple(f"{number:0{MAX_WORD}}" for number in range(MAX_WORDS))
    with pytest.raises(NetworkError, match="more than a Napster server reads"):
        question_for(Query(words), greeted=True)
    question_for(Query(words[:28]), greeted=True)
