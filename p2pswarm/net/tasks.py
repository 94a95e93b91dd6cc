"""Tasks that end by being cancelled: one that ends otherwise has met a fault of ours, which is told."""

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

__all__ = ["tell_bug"]

log = logging.getLogger(__name__)


def tell_bug(task: "asyncio.Task[None]") -> None:
    """For whoever owns it, when it is done."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a bug in p2pswarm", exc_info=error)
