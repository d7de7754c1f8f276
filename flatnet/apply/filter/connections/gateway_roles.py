"""What guests here had to do with the outside, once that is another way.

Where one host serves a network for all, connections of guests here cross this
host's bridge, or are routed and translated by it.  Once the role has moved,
those that are tracked the one way would go on so by the other: translated
where nobody is to, and not translated where it must be.  They are forgotten
after the new server has said where it is, so that the next packet begins them
anew; their other end knows them by another address in any case.

Given up: a worker that dies between both leaves them until they time out.
"""

import ipaddress
from collections.abc import Iterable

from flatnet.apply.filter.connections.conntrack_table import told
from flatnet.apply.filter.connections.routed_flows import forget_routed
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.exceptions import HostSetupError
from flatnet.state.changes import Changes, joined
from flatnet.state.effects import Effect, Surface, Verb
from flatnet.state.plan import GuardedNetwork, Plan

_MOVES = (Verb.ADDED, Verb.REMOVED)


class GatewayRoles:
    """The bridges by which this host serves all, as of the last pass."""

    def __init__(self) -> None:
        self._held: frozenset[str] | None = None

    def follow(self, plan: Plan, done: Changes, session: Session) -> Changes:
        """Forget what is tracked the other way; whoever waits is not failed.

        :param done: what the pass did to bridges, by which a worker knows that
            was none before
        """
        broken = {
            each.subject.name
            for each in done.failures
            if each.subject.surface is Surface.BRIDGE
        }
        shared = [each for each in _shared(plan) if each.bridge not in broken]
        held = frozenset(each.bridge for each in shared if each.address)
        if self._held is None:
            moved = _addressed(done.made)
        else:
            moved = held ^ (self._held - broken)
        self._held = held | ((self._held or frozenset()) & broken)
        return joined(
            *(
                _forgotten(plan, each, session)
                for each in shared
                if each.bridge in moved
            )
        )


def _shared(plan: Plan) -> tuple[GuardedNetwork, ...]:
    networks = plan.guard.networks if plan.guard else ()
    return tuple(each for each in networks if each.shared)


def _addressed(made: Iterable[Effect]) -> frozenset[str]:
    """The bridges that got or lost something that is an address."""
    return frozenset(
        each.subject.name
        for each in made
        if each.surface is Surface.BRIDGE and each.verb in _MOVES
    )


def _forgotten(
    plan: Plan, network: GuardedNetwork, session: Session
) -> Changes:
    addresses = frozenset(
        address
        for bridge in plan.bridges
        if bridge.name == network.bridge
        for port in bridge.ports
        for address in port.addresses
    )
    cidr = ipaddress.ip_network(network.cidr)
    try:
        cut = forget_routed(session, addresses, cidr)
    except (HostSetupError, OSError) as error:
        text = (
            f"connections by the former gateway of {network.bridge} could "
            f"not be cut: {error}"
        )
        return Changes(warnings=(text,))
    return Changes(told(cut))
