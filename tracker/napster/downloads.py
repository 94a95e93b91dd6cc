"""Who may connect to whom: downloads are arranged here and never carried.

Nobody learns an address that did not ask for, or offer, a file: a 608 counts only for a request that was
made in the last minutes. The server itself connects nowhere.

The one hard thing: how a push is arranged. The protocol document has 500 answered by 501 at once; OpenNap
sends 607 first and 501 after the 608. We do as OpenNap, and who has said nothing a second after the 607 is
taken for a program that goes by the document.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from p2pswarm.wire.napster import (
    NO_MD5,
    DataPortError,
    DirectBrowse,
    DirectBrowseAck,
    DirectBrowseError,
    Download,
    DownloadAck,
    Downloaded,
    DownloadError,
    Downloading,
    NoSuch,
    PushAck,
    PushRequest,
    QueueLimit,
    QueueLimited,
    UploadAccept,
    Uploaded,
    Uploading,
    UploadRefuse,
    UploadRequest,
    is_torrent_name,
)
from tracker.napster.audit import Audit
from tracker.napster.index import FileIndex, SharedFile
from tracker.napster.people import Duties, Member, People
from tracker.napster.searching import seen_by
from tracker.napster.session import Later

__all__ = ["Downloads"]

_REMEMBER = 600.0  # seconds that a request may be answered
_MOST_REQUESTS = 1000  # of one uploader
_ANSWER_WITHIN = 1.0  # seconds after the 607


class _Request:
    """Somebody wants a file: since when, and whether the uploader has to connect, and was told to."""

    __slots__ = ("answered", "at", "push", "pushed")

    def __init__(self, at: float, push: bool) -> None:
        self.at, self.push = at, push
        self.answered = self.pushed = False


class Downloads:
    """Messages 203, 500, 607 to 609, 619, 626, 640 to 642 and 218 to 221."""

    def __init__(
        self,
        index: FileIndex,
        people: People,
        audit: Audit,
        clock: Callable[[], float],
        later: Later,
    ) -> None:
        self._index, self._people, self._audit = index, people, audit
        self._clock, self._later = clock, later
        self._requests: dict[Member, OrderedDict[tuple[int, str], _Request]] = {}

    def duties(self) -> Duties:
        return {
            Download: ("talk", self.download),
            PushRequest: ("talk", self.push),
            UploadAccept: ("talk", self.accept),
            UploadRefuse: ("talk", self.refuse),
            QueueLimit: ("talk", self.queue_limit),
            DataPortError: ("talk", self.data_port_error),
            DirectBrowse: ("talk", self.direct_browse),
            DirectBrowseAck: ("talk", self.direct_browse_ack),
            Downloading: ("talk", partial(_count, "downloads", 1)),
            Downloaded: ("talk", partial(_count, "downloads", -1)),
            Uploading: ("talk", partial(_count, "uploads", 1)),
            Uploaded: ("talk", partial(_count, "uploads", -1)),
        }

    def left(self, member: Member) -> None:
        self._requests.pop(member, None)

    def download(self, member: Member, message: Download) -> None:
        """203: to an uploader that can be connected to, 607; else the 204 says port 0."""
        uploader = self._uploader(member, message)
        if uploader is None:
            return

        def found(file: SharedFile | None) -> None:
            if not self._may(member, uploader, message.name, file):
                member.send(DownloadError(uploader.nick, message.name))
            elif uploader.port:
                self._request(member, uploader, message.name, push=False)
            else:
                member.send(self._ready(member, uploader, message.name, NO_MD5))

        self._find(member, uploader, message.name, found)

    def push(self, member: Member, message: PushRequest) -> None:
        """500: the uploader has to connect."""
        uploader = self._uploader(member, message)
        if uploader is None:
            return
        if uploader.port:
            member.send(NoSuch(f"{uploader.nick} is not firewalled"))
        elif not member.port:
            why = f"{uploader.nick} and you are both firewalled: neither can connect to the other"
            member.send(NoSuch(why), DownloadError(uploader.nick, message.name))
        else:
            self._push(member, uploader, message.name)

    def accept(self, uploader: Member, message: UploadAccept) -> None:
        """608: the downloader is told where, or the uploader, when it is the one to connect."""
        member = self._people.named(message.nick)
        if member is None:
            uploader.send(_nobody())
            return
        request = self._answered(uploader, member, message.name)
        if request is None:
            uploader.send(NoSuch(f"{member.nick} did not ask for that file"))
        elif not request.pushed:
            send_on = partial(self._accepted, uploader, member, message.name, request)
            self._find(uploader, uploader, message.name, send_on)

    def refuse(self, uploader: Member, message: UploadRefuse) -> None:
        """609: no."""
        member = self._people.named(message.nick)
        if member is not None and self._answered(uploader, member, message.name):
            member.relay(UploadRefuse(uploader.nick, message.name))

    def queue_limit(self, uploader: Member, message: QueueLimit) -> None:
        """619: too many at once; 620 tells the downloader."""
        member = self._people.named(message.nick)
        if member is None:
            uploader.send(_nobody())
            return
        request = self._answered(uploader, member, message.name)

        def found(file: SharedFile | None) -> None:
            if file is not None:
                member.relay(QueueLimited(uploader.nick, file.name, file.size, message.most))
            elif request is not None and is_torrent_name(message.name):
                member.relay(QueueLimited(uploader.nick, message.name, 0, message.most))
            else:
                uploader.send(NoSuch("Not sharing that file"))

        self._find(uploader, uploader, message.name, found)

    def data_port_error(self, member: Member, message: DataPortError) -> None:
        """626: nothing listens where they said."""
        other = self._people.named(message.nick)
        if other is None:
            member.send(_nobody())
        elif not other.ignores(member):
            other.relay(DataPortError(member.nick))

    def direct_browse(self, member: Member, message: DirectBrowse) -> None:
        """640: with an address when the other is the one who can connect."""
        other = self._people.named(message.nick)
        if other is None:
            member.send(_nobody())
        elif other.ignores(member):
            why = f"{other.nick} is not online."
            member.send(DirectBrowseError(other.nick, why))
        elif not member.port and not other.port:
            why = f"Both you and {other.nick} are firewalled; you cannot browse or download from them."
            member.send(DirectBrowseError(other.nick, why))
        elif not other.shared:
            member.send(DirectBrowseError(other.nick, f"{other.nick} is not sharing any files."))
        else:
            self._note(member, other, "", push=not other.port)
            place = () if other.port else (seen_by(other, member), member.port)
            other.relay(DirectBrowse(member.nick, *place))

    def direct_browse_ack(self, uploader: Member, message: DirectBrowseAck) -> None:
        """641: here they are."""
        member = self._people.named(message.nick)
        if member is None:
            uploader.send(_nobody())
        elif self._answered(uploader, member, "") is not None:
            place = seen_by(member, uploader), uploader.port
            member.relay(DirectBrowseAck(uploader.nick, *place))

    def _uploader(self, member: Member, message: Download | PushRequest) -> Member | None:
        uploader = self._people.named(message.nick)
        if uploader is None or uploader is member:
            member.send(DownloadError(message.nick, message.name))
            return None
        if uploader.ignores(member):
            member.send(NoSuch(f"{uploader.nick} is ignoring you"))
            return None
        return uploader

    def _find(
        self,
        asker: Member,
        owner: Member,
        name: str,
        answer: Callable[[SharedFile | None], None],
    ) -> None:
        asker.session.ask(partial(self._index.find, owner.number, name), answer)

    def _may(self, member: Member, uploader: Member, name: str, file: SharedFile | None) -> bool:
        """Whether it is shared, by somebody who is still here, and was not taken down since."""
        if self._people.numbered(uploader.number) is None:
            return False
        if file is None:
            return uploader.ours and is_torrent_name(name)
        rule = self._audit.rules.against(file)
        if rule is not None:
            self._audit.stopped("download", rule, member.nick, member.host, name)
        return rule is None

    def _push(self, member: Member, uploader: Member, name: str) -> None:
        def found(file: SharedFile | None) -> None:
            if not self._may(member, uploader, name, file):
                member.send(DownloadError(uploader.nick, name))
                return
            request = self._request(member, uploader, name, push=True)
            self._later(
                _ANSWER_WITHIN, partial(self._by_the_document, request, member, uploader, name)
            )

        self._find(member, uploader, name, found)

    def _by_the_document(
        self, request: _Request, member: Member, uploader: Member, name: str
    ) -> None:
        here = self._people.numbered(member.number) and self._people.numbered(uploader.number)
        if here and not request.answered:
            request.answered = True
            send_on = partial(self._accepted, uploader, member, name, request)
            self._index.find(uploader.number, name, send_on)

    def _accepted(
        self,
        uploader: Member,
        member: Member,
        name: str,
        request: _Request,
        file: SharedFile | None,
    ) -> None:
        md5 = NO_MD5 if file is None else file.md5.hex() or NO_MD5
        if file is None and not is_torrent_name(name):
            uploader.send(NoSuch("Not sharing that file"))
        elif not request.push or uploader.port:
            member.relay(self._ready(member, uploader, name, md5))
        elif not member.port:
            uploader.send(NoSuch(f"{member.nick} cannot be connected to any more"))
        else:
            request.pushed = True
            host = seen_by(uploader, member)
            uploader.send(PushAck(member.nick, host, member.port, name, md5, member.speed))

    def _ready(self, member: Member, uploader: Member, name: str, md5: str) -> DownloadAck:
        host = seen_by(member, uploader)
        return DownloadAck(uploader.nick, host, uploader.port, name, md5, uploader.speed)

    def _request(self, member: Member, uploader: Member, name: str, *, push: bool) -> _Request:
        request = self._note(member, uploader, name, push=push)
        uploader.relay(UploadRequest(member.nick, name))
        return request

    def _note(self, member: Member, uploader: Member, name: str, *, push: bool) -> _Request:
        """Remember who asked; the oldest request makes room."""
        requests = self._requests.setdefault(uploader, OrderedDict())
        requests.pop((member.number, name), None)
        request = requests[member.number, name] = _Request(self._clock(), push)
        if len(requests) > _MOST_REQUESTS:
            requests.popitem(last=False)
        return request

    def _answered(self, uploader: Member, member: Member, name: str) -> _Request | None:
        """The request that this is the answer to. It may be answered again: queues move on."""
        requests = self._requests.get(uploader, OrderedDict())
        request = requests.get((member.number, name))
        if request is None or self._clock() - request.at > _REMEMBER:
            return None
        request.answered = True
        return request


def _count(what: str, step: int, member: Member, _: object) -> None:
    """218 to 221: how many transfers somebody says to have."""
    setattr(member, what, min(max(getattr(member, what) + step, 0), 10_000))


def _nobody() -> NoSuch:
    return NoSuch("User is not currently online.")
