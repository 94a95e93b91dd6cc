"""Strangers that have the info dictionary of a magnet, or say so."""

from collections.abc import Callable
from typing import Any

from p2pswarm.formats import bencode
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.wire.extension.handshake import ExtendedHandshake
from p2pswarm.wire.extension.metadata import (
    METADATA_PIECE,
    MetadataPiece,
    MetadataReject,
    MetadataRequest,
    read_metadata,
)
from p2pswarm.wire.extension.numbers import METADATA, NUMBERS
from p2pswarm.wire.peer import Extended
from tests.support.stranger import Stranger

__all__ = ["THEIR_NUMBER", "Answer", "give", "info_of", "introduce", "pieces", "refuse", "wanted"]

THEIR_NUMBER = 9  # under which a stranger wants to hear of ut_metadata

Answer = Callable[[int], object]
"""Of a piece: a message, or None for silence."""


def info_of(meta: Metainfo) -> bytes:
    where = bencode.span(meta.raw, b"info")
    assert where is not None
    return meta.raw[slice(*where)]


def introduce(stranger: Stranger, size: int | None = None, **more: Any) -> None:
    """Its extended handshake."""
    hello = ExtendedHandshake({METADATA: THEIR_NUMBER}, metadata_size=size, **more)
    stranger.send(Extended(0, hello.encode()))


def give(stranger: Stranger, size: int, answer: Answer) -> None:
    """It says that it has so many bytes of info, and from now on answers each request."""

    def answers(_: Stranger, message: Any) -> None:
        piece = wanted(message)
        said = None if piece is None else answer(piece)
        if said is not None:
            stranger.send(Extended(NUMBERS[METADATA], said.encode()))  # type: ignore[attr-defined]

    introduce(stranger, size)
    for message in list(stranger.heard):
        answers(stranger, message)
    stranger.answer = answers


def pieces(info: bytes, *, total: int | None = None) -> Answer:
    """Those of this dictionary."""
    size = len(info) if total is None else total
    return lambda n: MetadataPiece(n, size, info[n * METADATA_PIECE : (n + 1) * METADATA_PIECE])


def refuse(piece: int) -> object:
    return MetadataReject(piece)


def wanted(message: object) -> int | None:
    """The piece of metadata that this asks for."""
    if isinstance(message, Extended) and message.id == THEIR_NUMBER:
        request = read_metadata(message.payload)
        return request.piece if isinstance(request, MetadataRequest) else None
    return None
