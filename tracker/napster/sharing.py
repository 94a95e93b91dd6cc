"""What members share: into the index as long as there is room for them, and out of it again."""

from collections.abc import Iterable, Sequence
from functools import partial

from p2pswarm.wire.fields import as_bytes
from p2pswarm.wire.napster import (
    NO_MD5,
    NoSuch,
    Share,
    ShareDirectory,
    ShareNote,
    ShareTyped,
    Unshare,
    UnshareAll,
)
from tracker.napster.audit import Audit
from tracker.napster.index import FileIndex, SharedFile
from tracker.napster.limits import Caps, Guests
from tracker.napster.people import Duties, Member
from tracker.napster.session import Hold

__all__ = ["Sharing", "digest"]

_LONGEST_NAME = 1024  # bytes
_ON_THE_WAY = 200  # files of one member that the index has not answered for


class Sharing:
    """Messages 100, 870, 102, 110, OpenNap's 10300 and our notes."""

    def __init__(self, index: FileIndex, audit: Audit, caps: Caps, guests: Guests) -> None:
        self._index, self._audit, self._caps, self._guests = index, audit, caps, guests

    def duties(self) -> Duties:
        return {
            Share: ("shares", self.share),
            ShareDirectory: ("shares", self.share_directory),
            ShareTyped: ("shares", self.share_typed),
            ShareNote: ("shares", self.note),
            Unshare: ("shares", self.unshare),
            UnshareAll: ("shares", self.unshare_all),
        }

    def share(self, member: Member, message: Share) -> None:
        self._add(member, [_described(message)])

    def share_directory(self, member: Member, message: ShareDirectory) -> None:
        self._add(member, map(_described, message.shares()))

    def share_typed(self, member: Member, message: ShareTyped) -> None:
        self._add(member, [SharedFile(message.name, digest(message.md5, 16), message.size)])

    def note(self, member: Member, message: ShareNote) -> None:
        """Of a file that it shares, or is about to: the index keeps the order."""
        sha1, info_hash = digest(message.sha1, 20), digest(message.info_hash, 20)
        noted = SharedFile("", b"", 0, sha1=sha1, info_hash=info_hash)
        rule = self._audit.rules.against(noted)
        if rule is not None:
            self._audit.stopped("share", rule, member.nick, member.host, message.name)
            self._remove(member, message.name)
        else:
            self._index.note(member.number, message.name, sha1, info_hash)

    def unshare(self, member: Member, message: Unshare) -> None:
        """The name is the whole line; in quotes, which no name has, it is no file's, as for OpenNap."""
        self._remove(member, message.name)

    def unshare_all(self, member: Member, _: UnshareAll) -> None:
        def cleared(count: int) -> None:
            self._count(member, -count)
            if count:
                member.send(UnshareAll(count))

        member.session.ask(partial(self._index.clear, member.number), cleared)

    def left(self, member: Member) -> None:
        """They have gone, and all their files."""
        self._index.leave(member.number)
        self._guests.shared(member.host, -member.shared)
        member.shared = 0

    def _add(self, member: Member, files: Iterable[SharedFile]) -> None:
        admitted = [file for file in files if self._may(member, file)]
        room = self._room(member)
        if len(admitted) > room:
            del admitted[max(room, 0) :]
        if admitted:
            self._send_on(member, admitted)

    def _send_on(self, member: Member, files: Sequence[SharedFile]) -> None:
        def added(count: int) -> None:
            member.adding -= len(files)
            self._count(member, count)
            if count < len(files):
                member.send(NoSuch("duplicate file"))
            if member.adding < _ON_THE_WAY:
                member.session.release(Hold.ADDING)

        member.adding += len(files)
        if member.adding >= _ON_THE_WAY:
            member.session.hold(Hold.ADDING)
        self._index.add(member.number, files, added)

    def _may(self, member: Member, file: SharedFile) -> bool:
        if not file.name or len(as_bytes(file.name)) > _LONGEST_NAME:
            member.send(NoSuch("filename too long" if file.name else "a file needs a name"))
            return False
        rule = self._audit.rules.against(file)
        if rule is not None:
            self._audit.stopped("share", rule, member.nick, member.host, file.name)
            member.warn("some of your files may not be shared here")
        return rule is None

    def _room(self, member: Member) -> int:
        """How many files more this member may share; it is told why no more, once."""
        own = self._caps.shares - member.shared - member.adding
        if own <= 0:
            member.warn(f"You may only share {self._caps.shares} files")
        address = self._guests.room(member.host) - member.adding
        if address <= 0 < own:
            member.warn(
                f"You may only share {self._caps.shares_per_address} files from one address"
            )
        server = self._caps.files - self._index.weight
        if server <= 0:
            member.warn("this server has no room for more files")
        return min(own, address, server)

    def _remove(self, member: Member, name: str) -> None:
        def removed(was_there: bool) -> None:
            if was_there:
                self._count(member, -1)
            else:
                member.send(NoSuch("Not sharing that file"))

        self._index.remove(member.number, name, removed)

    def _count(self, member: Member, files: int) -> None:
        """Who has gone in the meantime shares nothing any more."""
        if not member.session.stream.over:
            member.shared += files
            self._guests.shared(member.host, files)


def _described(message: Share) -> SharedFile:
    return SharedFile(
        message.name,
        digest(message.md5, 16),
        message.size,
        message.bitrate,
        message.frequency,
        message.seconds,
    )


def digest(digits: str, width: int) -> bytes:
    """Hexadecimal to bytes; empty for zeros and for what is none. Some programs add a size to an MD5."""
    head = digits[: 2 * width]
    if head == NO_MD5 or len(head) < 2 * width:
        return b""
    try:
        found = bytes.fromhex(head)
    except ValueError:
        return b""
    return found if len(found) == width and any(found) else b""
