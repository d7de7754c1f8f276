"""TCP connections that were cut, and stay so.

Linux takes a TCP packet from the middle of a connection that it does not
know for the beginning of one, so that a guest which goes on sending in a
connection that was cut would open it again, as its own.  The switch for
that, nf_conntrack_tcp_loose, is one for the whole machine, and a guest that
arrives by live migration depends on it.  So we remember what was cut, as the
guest's own packets bear it, and answer them with a reset; what begins with
a SYN is judged by the rules as ever.

Given up: who is silent for longer than a connection is tracked (five days)
is forgotten.
"""

from collections.abc import Iterable

from flatnet.apply.filter.connections.flows import Flow
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.filter.guard.nft_elements import Change, put_elements

TCP = 6
_TUPLE = "{0} . inet_service . {0} . inet_service"
_KEPT = "flags timeout; timeout 5d"
SET_KEYS = {
    f"cut{family}": f"type {_TUPLE.format(kind)}; {_KEPT}"
    for family, kind in ((4, "ipv4_addr"), (6, "ipv6_addr"))
}
RULES = tuple(
    "ct state new tcp flags & (fin|syn|rst|ack) != syn "
    f"{header} saddr . tcp sport . {header} daddr . tcp dport @cut{family} "
    "reject with tcp reset"
    for family, header in ((4, "ip"), (6, "ip6"))
)


def remember(session: Session, table: str, flows: Iterable[Flow]) -> None:
    """Note these flows as cut; to be done before they are deleted.

    :raises HostSetupError: they could not be noted
    """
    cut = [flow for flow in flows if flow.protocol == TCP]
    changes = [
        Change(
            family="inet",
            table=table,
            set=name,
            key=key,
            added=frozenset(
                (
                    flow.target,
                    str(flow.target_port),
                    flow.answered_to,
                    str(flow.answered_port),
                )
                for flow in cut
                if name == f"cut{flow.family}"
            ),
        )
        for name, key in SET_KEYS.items()
    ]
    if cut:
        put_elements(session, changes)
