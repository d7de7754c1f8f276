"""Cut the tracked connections that a plan does not allow any more.

Goals, and how each is met:

* A rule that went is gone: what passes as established is judged anew for the
  addresses that a pass let less reach (see `narrowed`), and what nothing
  allows is forgotten by the kernel, so that its next packet is judged as the
  first of a connection.
* Nobody else is hurt: only connections that lead to a filtered instance of
  this host are judged, never those that it began, and each is deleted by
  its full tuple.
* What was cut stays cut: see `severed`.
* An address that is given out again brings no connections along: those of
  addresses whose port is about to be made are forgotten, whoever began
  them; and until they are, the port is not made.
* One dump per pass that changed something, and none otherwise, nor for
  addresses that nobody had or asked for (see `met`).  What could
  not be done is owed, and done by a later pass; the first one of a process
  judges all, for the one before may have died between the rules and this.

Given up: what the last holder of an address began goes on where the next
one's port is `external`: others make it, when nobody knows.  A UDP peer that
an instance goes on sending to counts as one that the instance turned to, as
for any packet that it sends first.
"""

from flatnet.apply.filter.connections.flows import Flow, Judge
from flatnet.apply.filter.connections.tracked import all_ends, flows_of, forget
from flatnet.apply.filter.guard import met, severed
from flatnet.apply.filter.guard.guard import TABLE
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.filter.iptables.ipset import all_packed
from flatnet.apply.link.reads import DUMP, Reads
from flatnet.apply.netlink import Kept
from flatnet.exceptions import HostSetupError
from flatnet.state.changes import Changes, Failure
from flatnet.state.effects import Effect, Subject, Surface, Verb
from flatnet.state.plan import Plan, Port

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
    judged; call it before new ports are made.

    :raises HostSetupError: connections cannot be listed
    """
    fresh = _fresh_addresses(plan, devices)
    new = fresh | _filtered_with(plan, fresh) if fresh else fresh
    known = _met(plan, new, session)
    judged = (judged - new) | (judged & (known - fresh))
    fresh &= known
    if not fresh and not judged:
        return Changes()
    asking = session.proven.asking
    judge = Judge(plan.filter, judged)
    tracked = list(flows_of(asking, all_packed(judged | fresh)))
    forbidden = [flow for flow in tracked if judge.forbids(flow)]
    severed.remember(session, TABLE, forbidden)
    doomed = dict.fromkeys(
        (
            *forbidden,
            *(f for f in tracked if not fresh.isdisjoint(_ends(f))),
        )
    )
    return _forget(asking, list(doomed))


def _filtered_with(plan: Plan, fresh: frozenset[str]) -> frozenset[str]:
    """All addresses of the guests that have these, such as link-local ones."""
    apart = fresh.isdisjoint
    guests = [g for g in plan.filter.guests if not apart(g.addresses)]
    return frozenset(a for guest in guests for a in guest.addresses)


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
        if not met.are_complete(session):
            met.complete(session, plan.guard, lambda: all_ends(asking))
        return met.those(session, plan.guard, addresses)
    except HostSetupError:
        return addresses


def fresh_ports(plan: Plan, devices: Reads = DUMP) -> tuple[Port, ...]:
    """The ports that do not exist yet.

    What somebody else attaches may have any name: it is never called new,
    or each pass would cut it off.  Nor is what is kept, but never made.
    """
    missing = plan.ports.keys() - devices.named().keys()
    return tuple(
        port
        for port in map(plan.ports.__getitem__, sorted(missing))
        if port.kind != "external" and port.stays == "always"
    )


def _fresh_addresses(plan: Plan, devices: Reads) -> frozenset[str]:
    return frozenset(
        address
        for port in fresh_ports(plan, devices)
        for address in port.addresses
    )


def _ends(flow: Flow) -> frozenset[str]:
    return frozenset(
        {flow.source, flow.destination, flow.target, flow.answered_to}
    )


def _forget(asking: Kept, doomed: list[Flow]) -> Changes:
    """Delete flows; one that ended by itself meanwhile is as good."""
    if not doomed:
        return Changes()
    cut = 0
    failures = []
    for flow in doomed:
        try:
            cut += forget(asking, flow)
        except OSError as error:
            failures.append(_failure(flow, error))
    made = Effect(Surface.CONNTRACK, Verb.CUT, detail=f"{cut} connections")
    return Changes((made,) * bool(cut), tuple(failures))


def _failure(flow: Flow, error: OSError) -> Failure:
    text = (
        f"{flow.source} to {flow.target}, protocol {flow.protocol}, could "
        f"not be cut: {error}"
    )
    return Failure(Subject(Surface.CONNTRACK), text)
