"""How two Gnutella nodes greet each other: what we say, and what we make of what they say.

Who dialed says who it is, who was dialed answers with a status and says the same, who dialed agrees or not
(handshaking 0.6). What both may rely on afterwards is the `Agreement`. Sans-IO.

The one hard thing: roles are settled on the way. An ultrapeer without leaves that is not needed becomes a
leaf in the third group (leaf guidance), and a leaf that has nobody becomes the ultrapeer of the leaf that
dials it.
A node of the flat network says nothing of ultrapeers at all, as everybody did before there were any.
"""

from collections.abc import Mapping
from dataclasses import replace

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.gnutella.links.agreement import (
    FLAT_TTL,
    MAX_TTL,
    MOST_DEGREE,
    OLD_DEGREE,
    Agreement,
    RefusedGreetingError,
    Role,
    Standing,
)
from p2pswarm.overlay.gnutella.links.told import (
    MOST_TRIES,
    not_needed,
    read_guid,
    read_number,
    read_role,
    read_tries,
)
from p2pswarm.wire.http.addresses import read_addresses, write_addresses
from p2pswarm.wire.http.heads import (
    AGENT,
    ConnectHead,
    Headers,
    StatusHead,
    deflates,
    takes_deflate,
)

__all__ = ["MYSELF", "Answerer", "Dialer"]

MYSELF = "That is myself"  # why somebody with our GUID is refused

_CAPABLE = {
    "GGEP": "0.5",
    "Pong-Caching": "0.1",
    "Bye-Packet": "0.1",
    "Vendor-Message": "0.2",
    "X-Requeries": "False",
}
_TWO_TIER = {
    "X-Query-Routing": "0.2",  # 0.2: one-bit patches are read too
    "X-Ultrapeer-Query-Routing": "0.1",  # leaves say it as well (ultrapeer query routing, 2.6)
    "X-Ext-Probes": "0.1",
}


class _Greeter:
    """The part of both sides. `here` is our end of the connection, `there` theirs."""

    def __init__(self, standing: Standing, here: Address, there: Address) -> None:
        self._standing = standing
        self._here, self._there = here, there

    def _headers(self, role: Role) -> Headers:
        """Who we are, as the first two groups say it."""
        standing = self._standing
        headers = Headers({"User-Agent": AGENT, **_CAPABLE})
        headers["GUID"] = standing.guid.hex()
        headers["Remote-IP"] = self._there.host
        if standing.port:
            headers["Listen-IP"] = str(Address(self._here.host, standing.port))
        if standing.deflate:
            headers["Accept-Encoding"] = "deflate"
        if standing.since:
            headers["X-Live-Since"] = standing.since
        if role is not Role.PEER:
            headers["X-Ultrapeer"] = str(role is Role.ULTRAPEER)
            headers.update(_TWO_TIER)
        if role is Role.ULTRAPEER:
            headers["X-Degree"] = str(standing.degree)
            headers["X-Max-TTL"] = str(MAX_TTL)
            headers["X-Dynamic-Querying"] = "0.1"
            if standing.guess:
                headers["X-Guess"] = "0.2"
        return headers

    def _deflate(self, theirs: Mapping[str, str], ours: Headers) -> bool:
        """Whether we deflate what we send, and say so."""
        if self._standing.deflate and takes_deflate(theirs):
            ours["Content-Encoding"] = "deflate"
            return True
        return False

    def _who(self, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """Why we want no link to whoever says this, as far as it lies in who it is."""
        guid = read_guid(headers)
        if guid == self._standing.guid:
            return 409, MYSELF
        if guid in self._standing.known:
            return 409, "Already connected"
        return None

    def _agreement(self, ours: Role, theirs: Role, headers: Mapping[str, str]) -> Agreement:
        tiers = theirs is not Role.PEER and ours is not Role.PEER
        routing = "X-Query-Routing" if ours is Role.LEAF else "X-Ultrapeer-Query-Routing"
        limit = MAX_TTL if theirs is Role.ULTRAPEER else FLAT_TTL
        return Agreement(
            ours=ours,
            theirs=theirs,
            address=self._listens(headers),
            seen_as=headers.get("Remote-IP", "")[:64],
            agent=headers.get("User-Agent", "")[:100],
            guid=read_guid(headers),
            degree=read_number(headers.get("X-Degree"), OLD_DEGREE, MOST_DEGREE),
            max_ttl=read_number(headers.get("X-Max-TTL"), limit, limit),
            dynamic="X-Dynamic-Querying" in headers,
            ext_probes="X-Ext-Probes" in headers,
            query_routing=tiers and theirs is Role.ULTRAPEER and routing in headers,
            pong_caching="Pong-Caching" in headers,
            vendor_messages="Vendor-Message" in headers,
            bye="Bye-Packet" in headers,
            guess="X-Guess" in headers,
            tries=read_tries(headers),
        )

    def _listens(self, headers: Mapping[str, str]) -> Address | None:
        """The port is what they say; the host is where they really are, whatever they say."""
        for name in ("Listen-IP", "X-My-Address", "Node"):
            for told in read_addresses(headers.get(name), 1):
                address = Address(self._there.host, told.port)
                return address if address.dialable else None
        return None


class Dialer(_Greeter):
    """Our side when we dialed: `hello`, then `answered`."""

    def hello(self) -> ConnectHead:
        return ConnectHead(headers=self._headers(self._standing.role))

    def answered(self, head: StatusHead) -> tuple[StatusHead, Agreement | None]:
        """The third group, and what is agreed unless it refuses. Raises RefusedGreetingError."""
        if head.code != 200:
            raise RefusedGreetingError(head.code, head.reason, read_tries(head.headers))
        if head.version == "0.4":
            raise RefusedGreetingError(503, "It speaks Gnutella 0.4")
        theirs = read_role(head.headers)
        refusal = self._who(head.headers) or self._unfit(theirs)
        if refusal is not None:
            return StatusHead(*refusal, Headers({"User-Agent": AGENT})), None
        ours, headers = self._standing.role, Headers()
        if self._standing.may_follow and theirs is Role.ULTRAPEER and not_needed(head.headers):
            ours = Role.LEAF
            headers["X-Ultrapeer"] = "False"
        deflate = self._deflate(head.headers, headers)
        agreement = self._agreement(ours, theirs, head.headers)
        inflate = deflates(head.headers)
        return StatusHead(headers=headers), replace(agreement, inflate=inflate, deflate=deflate)

    def _unfit(self, theirs: Role) -> tuple[int, str] | None:
        ours = self._standing.role
        if ours is Role.LEAF and theirs is not Role.ULTRAPEER:
            return 503, "I am a shielded leaf node"
        if ours is Role.ULTRAPEER and theirs is Role.LEAF and not self._standing.leaf_slots:
            return 503, "No place for leaves"
        return None


class Answerer(_Greeter):
    """Our side when we were dialed: `asked`, and `concluded` if it is `waiting`."""

    agreement: Agreement | None = None
    _offer: Agreement | None = None

    @property
    def waiting(self) -> bool:
        """For the third group."""
        return self._offer is not None and self.agreement is None

    def asked(self, head: ConnectHead) -> StatusHead:
        """The second group; all is said after it unless we are `waiting`. Raises RefusedGreetingError."""
        if head.version.startswith("0.") and head.version < "0.6":
            return self._old()
        if "Crawler" in head.headers:
            return self._crawled()
        theirs = read_role(head.headers)
        ours = self._our_role(theirs)
        headers = self._headers(ours)
        self._recommend(headers)
        refusal = (
            self._who(head.headers) or self._crossing(head.headers) or self._full(ours, theirs)
        )
        if refusal is not None:
            return StatusHead(*refusal, headers)
        if ours is Role.ULTRAPEER:
            headers["X-Ultrapeer-Needed"] = str(self._standing.needed)
        deflate = self._deflate(head.headers, headers)
        self._offer = replace(self._agreement(ours, theirs, head.headers), deflate=deflate)
        return StatusHead(headers=headers)

    def concluded(self, head: StatusHead) -> Agreement:
        """The third group has come. Raises RefusedGreetingError."""
        if head.code != 200:
            raise RefusedGreetingError(head.code, head.reason, read_tries(head.headers))
        offer = self._offer
        assert offer is not None
        if offer.theirs is Role.ULTRAPEER and read_role(head.headers) is Role.LEAF:
            if offer.ours is not Role.ULTRAPEER or not self._standing.leaf_slots:
                raise RefusedGreetingError(503, "No place for leaves")
            offer = replace(offer, theirs=Role.LEAF, query_routing=False)
        self.agreement = replace(offer, inflate=deflates(head.headers))
        return self.agreement

    def _our_role(self, theirs: Role) -> Role:
        standing = self._standing
        leads = standing.role is Role.LEAF and theirs is Role.LEAF and standing.may_lead
        return Role.ULTRAPEER if leads else standing.role

    def _full(self, ours: Role, theirs: Role) -> tuple[int, str] | None:
        standing = self._standing
        if ours is Role.LEAF and theirs is not Role.ULTRAPEER:
            return 503, "I am a shielded leaf node"
        if ours is Role.ULTRAPEER and theirs is Role.LEAF:
            return None if standing.leaf_slots or standing.role is Role.LEAF else _FULL
        return None if standing.ultrapeer_slots else _FULL

    def _crossing(self, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """Both dialed at one moment: the connection of the lower GUID stays."""
        guid, address = read_guid(headers), self._listens(headers)
        if guid is not None and address in self._standing.dialing and self._standing.guid < guid:
            return 409, "Already connecting"
        return None

    def _recommend(self, headers: Headers) -> None:
        """A node is what another needs most, also when we are lost later (ultrapeers, 3.1)."""
        lists = {"X-Try-Ultrapeers": self._standing.tries, "X-Try": self._standing.others}
        for name, addresses in lists.items():
            if addresses:
                headers[name] = write_addresses(list(addresses)[:MOST_TRIES])

    def _crawled(self) -> StatusHead:
        headers = Headers({"User-Agent": AGENT})
        if self._standing.role is not Role.PEER:
            headers["X-Ultrapeer"] = str(self._standing.role is Role.ULTRAPEER)
        headers["Peers"] = write_addresses(self._standing.peers)
        headers["Leaves"] = write_addresses(self._standing.leaves)
        return StatusHead(headers=headers)

    def _old(self) -> StatusHead:
        """Gnutella 0.4: no headers, no third group. Raises RefusedGreetingError."""
        standing = self._standing
        if not standing.legacy or standing.role is Role.LEAF or not standing.ultrapeer_slots:
            raise RefusedGreetingError(503, "Gnutella 0.4 is not spoken here")
        self.agreement = Agreement(ours=standing.role, theirs=Role.PEER)
        return StatusHead(version="0.4")


_FULL = 503, "Busy"
