"""The firewall and the guard of a segment's node, as rows mean them."""

from flatnet.apply.filter.guard.guard import Guarding, apply_guard
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.filter.iptables.firewall import apply_firewall
from flatnet.apply.worker_cache import WorkerCache
from flatnet.state.changes import joined
from flatnet.state.rows import SecurityGroup, SecurityRule
from tests.builders import network, settings, snapshot
from tests.planned import filter_plan, host_plan, in_groups

EVERYWHERE = "0.0.0.0/0"


def plan(
    net,
    guests,
    rules=(),
    members=(),
    cidr_v6=None,
    networks=None,
    **options,
):
    """Apply what the guests' rows and rules of group 1 mean."""
    options = {
        "routing_source_ip": "192.0.2.1",
        "public_interface": "ext0",
        **options,
    }
    rows = snapshot(
        networks=networks or (network(cidr_v6=cidr_v6),),
        interfaces=guests,
        security_groups=(SecurityGroup(1, "web", tuple(rules)),),
        members=in_groups(dict(members)),
    )
    options = settings(**options)
    planned, warnings = filter_plan(rows, options)
    guarded = host_plan(rows, options).guard
    first, again = net.node.call(twice, planned, guarded)
    assert first.failures == ()
    assert (again.made, again.failures) == ((), ())
    # Flows of the test before would pass as established.
    net.node.run("conntrack -F", check=False)
    return warnings


def twice(planned, guarded):
    with Session() as session:
        first, again = (
            joined(
                apply_firewall(planned, WorkerCache(session.proven)),
                apply_guard(session, Guarding(), guarded),
            )
            for _ in range(2)
        )
    return first, again


def rule(number=1, protocol=None, low=None, high=None, **source):
    source = source or {"cidr": EVERYWHERE}
    return SecurityRule(number, protocol, low, high, **source)
