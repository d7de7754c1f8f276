"""Tracked connections by floating addresses, and where these lead."""

from collections.abc import Collection, Mapping

from flatnet.apply.filter.connections.conntrack_table import (
    flows_of,
    forget,
    told,
)
from flatnet.apply.filter.connections.flows import Flow
from flatnet.apply.filter.iptables.ipset import all_packed
from flatnet.apply.netlink import KeptSocket
from flatnet.state.effects import Effect


def misled(
    asking: KeptSocket, addresses: Collection[str], now: Mapping[str, str]
) -> tuple[Effect, ...]:
    """Forget what some addresses are an end of, and lead otherwise now.

    :param asking: a socket of netfilter's
    :param now: the fixed address that each of all leads to
    :raises HostSetupError: the kernel does not tell of its connections
    :raises OSError: it forgets one not
    """
    among = frozenset(addresses)
    tracked = list(flows_of(asking, all_packed(among)))
    wrong = [flow for flow in tracked if _is_misled(flow, among, now)]
    cut = sum(forget(asking, flow) for flow in wrong)
    return told(cut)


def _is_misled(
    flow: Flow, among: Collection[str], now: Mapping[str, str]
) -> bool:
    to, by = flow.destination, flow.answered_to
    if to in among and now.get(to) != flow.target:
        return True
    return by in among and now.get(by) != flow.source
