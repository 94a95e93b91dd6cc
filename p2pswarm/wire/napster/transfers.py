"""How a download is arranged through the server; the transfer itself is in `wire/napster/peer.py`.

Downloader 203, uploader 607, uploader 608, downloader 204: then the downloader connects. When the uploader
is behind a firewall (port 0 in the 204): downloader 500, uploader 607 and 608, uploader 501: then the
uploader connects. Between two firewalls nothing goes.
"""

from dataclasses import dataclass

from p2pswarm.wire.napster.frames import AboutFile, AboutNick, Bare, Message

__all__ = [
    "AlternatePort",
    "DataPortError",
    "Download",
    "DownloadAck",
    "DownloadError",
    "Downloaded",
    "Downloading",
    "PushAck",
    "PushRequest",
    "QueueLimit",
    "QueueLimited",
    "UploadAccept",
    "UploadRefuse",
    "UploadRequest",
    "Uploaded",
    "Uploading",
]


class Download(AboutFile):
    """I want this file of theirs, and connect to them."""

    number = 203


@dataclass(slots=True)
class DownloadAck(Message):
    """There they wait for you. Port 0: they are firewalled, ask with `PushRequest`."""

    number = 204
    layout = 'nick @ip #port "name" md5 #speed'

    nick: str
    ip: str
    port: int
    name: str
    md5: str
    speed: int


class DownloadError(AboutFile):
    """They are not there, or do not share it."""

    number = 206


@dataclass(slots=True)
class UploadRequest(Message):
    """Somebody wants this file of yours."""

    number = 607
    layout = 'nick "name" [#speed]'

    nick: str
    name: str
    speed: int | None = None


class UploadAccept(AboutFile):
    """They may have it."""

    number = 608


class UploadRefuse(AboutFile):
    """They may not."""

    number = 609


class PushRequest(AboutFile):
    """I want this file, and they have to connect to me."""

    number = 500


@dataclass(slots=True)
class PushAck(Message):
    """Connect there and send it."""

    number = 501
    layout = 'nick @ip #port "name" md5 #speed'

    nick: str
    ip: str
    port: int
    name: str
    md5: str
    speed: int


@dataclass(slots=True)
class QueueLimit(Message):
    """They have too many downloads from me already."""

    number = 619
    layout = 'nick "name" #most'

    nick: str
    name: str
    most: int


@dataclass(slots=True)
class QueueLimited(Message):
    """You have too many downloads from them already."""

    number = 620
    layout = 'nick "name" #size #most'

    nick: str
    name: str
    size: int
    most: int


class Downloading(Bare):
    """One more download of mine has begun."""

    number = 218


class Downloaded(Bare):
    """And has ended."""

    number = 219


class Uploading(Bare):
    """One more upload of mine has begun."""

    number = 220


class Uploaded(Bare):
    """And has ended."""

    number = 221


class DataPortError(AboutNick):
    """I cannot connect to them; to them: somebody cannot connect to you."""

    number = 626


@dataclass(slots=True)
class AlternatePort(Message):
    """Try this port, too."""

    number = 300
    layout = "#port"

    port: int
