"""What is tracked here of a guest that goes on at another host.

Its packets may come here all the same, and what does has to pass as before:

* What it has with a guest of this host crosses this bridge still, and is
  answered here: it stays as it is.
* What it has with the host, or by way of it, goes on until the guest has
  learnt its new gateway, at the end of its lease at the latest: a connection
  that source NAT has changed is lost without this.  TCP would be remembered
  for days after its last packet; so it is kept as long as the lease, whatever
  comes, and forgotten then.  Anything else is forgotten minutes after its last
  packet by itself.
* All else goes by the other host alone, and is forgotten.

Given up: where this host gives no leases there is no such end.
"""

import ipaddress
from collections.abc import Iterable
from functools import partial

from flatnet.apply.filter.connections.conntrack_table import (
    end_after,
    flows_of,
    forget,
    told,
)
from flatnet.apply.filter.guard.handovers import Parted
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.filter.iptables.ipset import all_packed
from flatnet.exceptions import HostSetupError
from flatnet.state.changes import Changes, Failure
from flatnet.state.effects import Subject, Surface
from flatnet.state.plan import Plan

_TCP = 6
# Longer than TCP remembers what is not established.
_SHORT = 600


def parted(plan: Plan, session: Session) -> Parted:
    """Return the ports of a plan that go, and how who moved is released."""
    moved = frozenset(plan.moved)
    release = partial(release_connections, plan, session=session)
    return Parted(frozenset(plan.gone) - moved, moved, release)


def release_connections(
    plan: Plan, addresses: frozenset[str], session: Session
) -> Changes:
    """Forget what this host has no part in of addresses that moved.

    A flow that cannot be changed is a failure of nobody.
    """
    asking = session.proven.asking
    ours = _Ours(plan)
    cut = 0
    try:
        for flow in list(flows_of(asking, all_packed(addresses))):
            others = flow.ends - addresses
            if ours.has_guest(others):
                continue
            if not ours.serves(others):
                cut += forget(asking, flow)
                continue
            lease = ours.lease(flow.ends & addresses)
            if lease and flow.protocol == _TCP and flow.lasts > _SHORT:
                end_after(asking, flow, lease)
    except (HostSetupError, OSError) as error:
        subject = Subject(Surface.CONNTRACK)
        return Changes(failures=(Failure(subject, str(error)),))
    return Changes(told(cut))


class _Ours:
    """The ends of connections that this host has a part in."""

    def __init__(self, plan: Plan) -> None:
        self._guests = {
            address
            for guest in plan.filter.guests
            for address in guest.addresses
        }
        networks = plan.guard.networks if plan.guard else ()
        self._own = {each.address for each in networks}
        self._ranges = [
            ipaddress.ip_network(cidr, strict=False)
            for each in networks
            for cidr in (each.cidr, each.cidr_v6, "fe80::/10")
            if cidr
        ]
        self._leases = {
            ipaddress.ip_network(each.cidr, strict=False): each.lease_time
            for each in plan.dhcp_servers
        }

    def has_guest(self, ends: Iterable[str]) -> bool:
        return not self._guests.isdisjoint(ends)

    def serves(self, ends: Iterable[str]) -> bool:
        """Whether one is the host itself, or beyond all of its networks."""
        return any(
            each in self._own
            or not any(
                ipaddress.ip_address(each) in network
                for network in self._ranges
            )
            for each in ends
        )

    def lease(self, ends: Iterable[str]) -> int:
        """For how long one of these believes what it was told; 0: for ever."""
        return max(
            (
                seconds
                for each in map(ipaddress.ip_address, ends)
                for network, seconds in self._leases.items()
                if each in network
            ),
            default=0,
        )
