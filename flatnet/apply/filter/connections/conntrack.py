"""Cut the tracked connections that a plan does not allow any more.

Goals, and how each is met:

* A rule that went is gone: what passes as established is judged anew for the
  addresses that a pass let less reach (see `revoked_access`), and what nothing
  allows is forgotten by the kernel, so that its next packet is judged as the
  first of a connection.
* Nobody else is hurt: only connections that lead to a filtered instance of
  this host are judged, never those that it began, and each is deleted by
  its full tuple.
* What was cut stays cut: see `severed`.
* An address that is given out again brings no connections along: those of
  addresses whose port is about to be made are forgotten, whoever began
  them; and until they are, the port is not made.  Where a port that is there
  gets the address, it does not until they are (see `guard.handovers`).
* Of an address that a port loses nothing lingers (see `guard.handovers`).
* One dump per pass that changed something, and none otherwise, nor for
  addresses that nobody had or asked for (see `peers`).
* Nobody waits for another's.  What could not be cut is a failure of those
  whose address it leads to, and owed to that address (see `owed_cuts`); the
  first pass of a process judges all, for the one before may have died between
  the rules and this.

Given up: what the last holder of an address began goes on where the next
one's port is `external`: others make it, when nobody knows.  A UDP peer that
an instance goes on sending to counts as one that the instance turned to, as
for any packet that it sends first.
"""

from collections.abc import Iterable, Mapping

from flatnet.apply.filter.connections.conntrack_table import (
    all_ends,
    flows_of,
    forget,
    told,
)
from flatnet.apply.filter.connections.flows import Flow, Judge
from flatnet.apply.filter.guard import peers, severed
from flatnet.apply.filter.guard.guard import TABLE
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.filter.iptables.ipset import all_packed
from flatnet.apply.link.device_reads import DUMP, Reads
from flatnet.apply.netlink import KeptSocket
from flatnet.exceptions import HostSetupError
from flatnet.state.changes import Changes, Failure
from flatnet.state.effects import Subject, Surface
from flatnet.state.filtering import Guest
from flatnet.state.plan import Plan, Port

# What could not be cut of each address, as lines.
_Left = dict[str, list[str]]
# Addresses that are asked for one by one.
_FEW = 256


def cut_connections(
    plan: Plan,
    judged: frozenset[str],
    session: Session,
    devices: Reads = DUMP,
) -> Changes:
    """Forget the connections that the rules do not allow any more.

    `judged` are the addresses of the plan whose connections are to be
    judged; call it before new ports are made.  Of what could not be done
    `uncut` has the addresses.
    """
    ports = fresh_ports(plan, devices)
    fresh = _addresses(ports)
    new = fresh.union(*(_all_of(plan, port) for port in ports))
    known = _met(plan, new, session)
    judged = (judged - new) | (judged & (known - fresh))
    fresh &= known
    if not fresh and not judged:
        return Changes()
    return _cut(plan, session, judged, fresh)


def forget_connections(
    plan: Plan, addresses: frozenset[str], session: Session
) -> Changes:
    """Forget all connections of addresses that go to another port, or to none.

    Whoever began them; call it when the last holder does not send by them any
    more, and before the next one may.  Of what could not be done `uncut` has
    the addresses.
    """
    known = _met(plan, addresses, session)
    return _cut(plan, session, frozenset(), known) if known else Changes()


def _cut(
    plan: Plan,
    session: Session,
    judged: frozenset[str],
    fresh: frozenset[str],
) -> Changes:
    """Cut what is not allowed to those judged, and all of who is `fresh`."""
    asking = session.proven.asking
    try:
        tracked = list(flows_of(asking, all_packed(judged | fresh)))
    except HostSetupError as error:
        return _none_cut(plan, judged | fresh, error)
    judge = Judge(plan.filter, judged)
    forbidden = [flow for flow in tracked if judge.forbids(flow)]
    inherited = {
        flow: heirs for flow in tracked if (heirs := fresh & flow.ends)
    }
    return _deleted(plan, session, forbidden, inherited)


def _deleted(
    plan: Plan,
    session: Session,
    forbidden: list[Flow],
    inherited: Mapping[Flow, frozenset[str]],
) -> Changes:
    """Remember what is forbidden, and delete that and what is inherited.

    :param inherited: the addresses that are about to be given out, by flow
    """
    doomed = {flow: frozenset((flow.target,)) for flow in forbidden}
    for flow, heirs in inherited.items():
        doomed[flow] = doomed.get(flow, frozenset()) | heirs
    left: _Left = {}
    try:
        severed.remember(session, TABLE, forbidden)
    except HostSetupError as error:
        # They would be opened again; what somebody inherits would not.
        for flow in forbidden:
            _note(left, flow, doomed.pop(flow), error)
    cut = _forget(session.proven.asking, doomed, left)
    return Changes(told(cut), _failures(plan, left), uncut=frozenset(left))


def _all_of(plan: Plan, port: Port) -> frozenset[str]:
    """All addresses of a port's guest, such as link-local ones.

    The rules judge just those that the guard takes from it.
    """
    guarded = plan.guard.named.get(port.name) if plan.guard else None
    more = guarded.addresses if guarded else ()
    return frozenset((*port.addresses, *more))


def _met(
    plan: Plan, addresses: frozenset[str], session: Session
) -> frozenset[str]:
    """Those of some addresses that may have connections.

    Where nobody can tell, or that takes longer than to look for them, all.
    """
    if plan.guard is None or not 0 < len(addresses) <= _FEW:
        return addresses
    asking = session.proven.asking
    try:
        if not peers.are_complete(session):
            peers.complete(session, plan.guard, lambda: all_ends(asking))
        return peers.those(session, plan.guard, addresses)
    except HostSetupError:
        return addresses


def fresh_ports(plan: Plan, devices: Reads = DUMP) -> tuple[Port, ...]:
    """The ports that do not exist yet.

    What somebody else attaches may have any name: it is never called new,
    or each pass would cut it off.  Nor is what is kept, but never made.
    """
    missing = devices.device_index().ports.missing(plan.ports)
    return tuple(
        port
        for port in map(plan.ports.__getitem__, sorted(missing))
        if port.kind != "external" and port.stays == "always"
    )


def late_ports(
    plan: Plan, uncut: frozenset[str], devices: Reads = DUMP
) -> tuple[Port, ...]:
    """Those of them whose addresses have connections that could not be cut."""

    def inherits(port: Port) -> bool:
        return not uncut.isdisjoint(_all_of(plan, port))

    return tuple(filter(inherits, fresh_ports(plan, devices)))


def late_instances(plan: Plan, cut: Changes, devices: Reads) -> Changes:
    """The instances that get no port before connections could be cut.

    An address may have been another's.  That the port is missing is what
    reminds the next pass, also of a process that knows nothing of this one.
    Nobody else is shut for what is left of old connections.
    """
    if not cut.uncut:
        return Changes()
    late = late_ports(plan, cut.uncut, devices)
    uuids = {port.instance_uuid for port in late}
    if not uuids:
        return Changes()
    text = (
        "connections of the last holder of its address could not be cut; "
        "its port is not made before they are"
    )
    subject = Subject(Surface.CONNTRACK)
    return Changes(failures=(Failure(subject, text, tuple(sorted(uuids))),))


def fresh_addresses(plan: Plan, devices: Reads) -> frozenset[str]:
    """The addresses of these ports."""
    return _addresses(fresh_ports(plan, devices))


def _addresses(ports: Iterable[Port]) -> frozenset[str]:
    return frozenset(address for port in ports for address in port.addresses)


def _forget(
    asking: KeptSocket, doomed: Mapping[Flow, frozenset[str]], left: _Left
) -> int:
    """Delete flows; one that ended by itself meanwhile is as good.

    :param doomed: with the addresses for whose sake they go
    :param left: is told of those that stay
    """
    cut = 0
    for flow, whose in doomed.items():
        try:
            cut += forget(asking, flow)
        except OSError as error:
            _note(left, flow, whose, error)
    return cut


def _note(
    left: _Left, flow: Flow, whose: Iterable[str], error: Exception
) -> None:
    text = (
        f"{flow.source} to {flow.target}, protocol {flow.protocol}, could "
        f"not be cut: {error}"
    )
    for address in whose:
        left.setdefault(address, []).append(text)


def _failures(plan: Plan, left: _Left) -> tuple[Failure, ...]:
    """One for each address, of the instance that has it."""
    return tuple(
        Failure(
            Subject(Surface.CONNTRACK, address),
            lines[0] + (f" (and {len(lines) - 1} more)" if lines[1:] else ""),
            _holders(plan, frozenset((address,))),
        )
        for address, lines in sorted(left.items())
    )


def _none_cut(
    plan: Plan, addresses: frozenset[str], error: HostSetupError
) -> Changes:
    """Return that nothing could be done for these addresses."""
    holders = _holders(plan, addresses)
    failure = Failure(Subject(Surface.CONNTRACK), str(error), holders)
    return Changes(failures=(failure,), uncut=addresses)


def _holders(plan: Plan, addresses: frozenset[str]) -> tuple[str, ...]:
    """The instances that have one of these addresses, sorted."""
    holders: tuple[Guest | Port, ...] = (
        *plan.filter.guests,
        *plan.ports.values(),
    )
    found = {
        each.instance_uuid
        for each in holders
        if not addresses.isdisjoint(each.addresses)
    }
    return tuple(sorted(found))
