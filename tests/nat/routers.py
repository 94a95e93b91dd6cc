"""What makes a router one of the five kinds of OVERLAYS.md §4.4, in the words of iptables-restore.

The hard thing is the line for INPUT. A packet of the peer that comes before ours to it would be taken as one
for the router itself and noted, and our mapping to this peer would get another port: cones look symmetric.
"""

__all__ = ["KINDS", "rules"]

KINDS = ("none", "full", "addr", "port", "symmetric", "blocked")
"""Ways to be on the net: with a public address, behind four kinds of NAT, behind one that takes no UDP."""

_OUR_OWN_ONLY = "-A INPUT -i wan -m conntrack ! --ctstate ESTABLISHED,RELATED -j DROP"
_ADDRESS_KNOWN = "-m recent --name spoken --rcheck --rsource"


def _nat(kind: str, host: str) -> list[str]:
    """Mappings, and who may use them beside those they were made for."""
    masquerade = "-A POSTROUTING -o wan -j MASQUERADE"
    if kind == "symmetric":
        return [f"{masquerade} --random-fully"]  # another number for each remote port
    if kind == "full":
        return [masquerade, f"-A PREROUTING -i wan -j DNAT --to-destination {host}"]
    if kind == "addr":
        return [
            masquerade,
            f"-A PREROUTING -i wan {_ADDRESS_KNOWN} -j DNAT --to-destination {host}",
        ]
    return [masquerade]  # one number where it is free; conntrack lets in who was spoken to


def _filter(kind: str, careless: bool) -> list[str]:
    lines = [] if careless else [_OUR_OWN_ONLY]
    if kind == "addr":
        lines.append("-A FORWARD -o wan -m recent --name spoken --set --rdest")
    if kind == "blocked":
        lines.append("-A FORWARD -p udp -j DROP")
    return lines


def rules(kind: str, host: str, *, careless: bool = False) -> list[str]:
    """For a router with the interface `wan` and one host behind it. A careless one has the trap."""
    return ["*nat", *_nat(kind, host), "COMMIT", "*filter", *_filter(kind, careless), "COMMIT"]
