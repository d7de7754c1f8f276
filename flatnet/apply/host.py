"""Bring a whole host to a plan: the appliers in the order that is safe.

Goals, and how each is met:

* No unfiltered packet: rules and guards are written before a port comes up,
  and a port is removed before its rules are.
* Fail closed, and alone: an instance whose own rules are not in force gets no
  port, or its port is shut; all others proceed, whatever step has failed.
* One broken part does not stop the rest: each applier's failures are
  gathered and reported together.

Given up: the pass is not atomic as a whole.  Each step is, and after a
crash between two of them the next pass finishes the work.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from flatnet.apply.bridge import apply_bridges, remove_ports
from flatnet.apply.conntrack import cut_connections, fresh_ports
from flatnet.apply.dhcp import apply_dhcp
from flatnet.apply.firewall import apply_firewall
from flatnet.apply.force import open_instances
from flatnet.apply.forwarding import apply_forwarding
from flatnet.apply.found import found_ports
from flatnet.apply.guard import apply_guard
from flatnet.apply.known import Known
from flatnet.apply.libnftables import Session
from flatnet.apply.link import DUMP, Reads
from flatnet.apply.narrowed import filtered_addresses
from flatnet.apply.sysctl import apply_sysctls
from flatnet.state import Changes, Failure, Plan, joined

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class HostPaths:
    """What the applier takes from its own command line, never from a plan.

    `top_regex` names foreign iptables rules that stay above ours, and
    `bottom_regex` those that stay below.
    """

    networks_path: str
    dnsmasq_config_file: str = ""
    top_regex: str = ""
    bottom_regex: str = ""


@dataclass(frozen=True)
class Tools:
    """What a pass works with.

    `session` owns the guard's tables, `devices` knows what devices there are,
    `known` is what is remembered of rules.
    """

    paths: HostPaths
    session: Session
    known: Known
    devices: Reads = DUMP


@dataclass(frozen=True)
class Task:
    """What a pass is to do.

    `unfit` says which instances stay shut, and why, `owes` that tracked
    connections are to be judged.  `ports` are the names of those ports that
    are looked at; none for all.
    """

    plan: Plan
    unfit: tuple[Failure, ...] = ()
    owes: bool = False
    ports: frozenset[str] | None = None


@dataclass(frozen=True)
class Outcome:
    """What a pass did; `owes` says that connections are still to be cut."""

    changes: Changes
    owes: bool


def apply_task(task: Task, tools: Tools) -> Outcome:
    """Make this host look like the plan of a task, any number of times."""
    plan, devices = task.plan, tools.devices

    def step(subject: str, apply: Callable[[], Changes]) -> Changes:
        return guarded(subject, apply, plan)

    steps = joined(
        step("sysctl", lambda: apply_sysctls(plan)),
        step("ports", lambda: remove_ports(plan, devices)),
        step("firewall", lambda: _apply_firewall(plan, tools)),
        step("guard", lambda: _apply_guard(plan, tools)),
    )
    rules = joined(Changes(failures=task.unfit), steps)
    judged = _judged(task, rules)
    cut = step(
        "conntrack",
        lambda: cut_connections(plan, judged, tools.session, devices),
    )
    waiting = _waiting(plan, cut, devices)
    shut = _opened(plan, steps, tools)
    shut |= affected(joined(Changes(failures=task.unfit), waiting))
    bridges = step(
        "bridges",
        lambda: apply_bridges(plan, devices, shut=shut, ports=task.ports),
    )
    forwards = step("forwarding", lambda: apply_forwarding(plan))
    dhcp = step("dhcp", lambda: _apply_dhcp(plan, tools, bridges))
    named = _named(joined(rules, cut, waiting, bridges, forwards, dhcp), plan)
    ports = found_ports(plan, named, devices, ports=task.ports)
    return Outcome(replace(named, ports=ports), bool(judged and cut.failures))


def _judged(task: Task, rules: Changes) -> frozenset[str]:
    """The addresses whose connections are to be judged anew."""
    # A step that failed may have changed rules before.
    if task.owes or rules.failures:
        return filtered_addresses(task.plan.filter)
    return rules.judged


def _opened(plan: Plan, steps: Changes, tools: Tools) -> frozenset[str]:
    """Of the instances that suffer, those whose rules are not in force.

    A step that failed may have left all of them as they were, or have failed
    for something that keeps nobody out.
    """
    suspects = affected(steps)
    if not suspects:
        return suspects
    try:
        return suspects & open_instances(
            plan,
            tools.session,
            top_regex=tools.paths.top_regex,
            bottom_regex=tools.paths.bottom_regex,
        )
    except Exception:
        LOG.exception("rules in force: unforeseen error")
        return suspects


def _waiting(plan: Plan, cut: Changes, devices: Reads) -> Changes:
    """The instances that get no port before connections could be cut.

    An address may have been another's.  That the port is missing is what
    reminds the next pass, also of a process that knows nothing of this one.
    Nobody else is shut for what is left of old connections.
    """
    if not cut.failures:
        return Changes()
    uuids = {port.instance_uuid for port in fresh_ports(plan, devices)}
    if not uuids:
        return Changes()
    text = (
        "connections of the last holder of its address could not be cut; "
        "its port is not made before they are"
    )
    return Changes(
        failures=(Failure("conntrack", text, tuple(sorted(uuids))),)
    )


def apply_rules(plan: Plan, tools: Tools) -> Changes:
    """Put the rules of a plan back, and nothing else; the guard first."""
    return joined(
        guarded("guard", lambda: _apply_guard(plan, tools), plan),
        guarded("firewall", lambda: _apply_firewall(plan, tools), plan),
    )


def _apply_guard(plan: Plan, tools: Tools) -> Changes:
    return apply_guard(
        tools.session,
        tools.known.guarding,
        plan.guard,
        plan.in_use,
        tools.devices,
    )


def _apply_firewall(plan: Plan, tools: Tools) -> Changes:
    return apply_firewall(
        plan.filter,
        tools.known,
        top_regex=tools.paths.top_regex,
        bottom_regex=tools.paths.bottom_regex,
    )


def _apply_dhcp(plan: Plan, tools: Tools, bridges: Changes) -> Changes:
    """Serve the bridges that are as planned; `bridges` says which are not."""
    broken = frozenset(
        failure.subject.removeprefix("bridge ")
        for failure in bridges.failures
        if failure.subject.startswith("bridge ")
    )
    return apply_dhcp(
        plan.dhcp_servers,
        tools.known.daemons,
        networks_path=tools.paths.networks_path,
        config_file=tools.paths.dnsmasq_config_file,
        skip=broken,
    )


def _named(changes: Changes, plan: Plan) -> Changes:
    """Name in each failure the instances that lack what failed.

    A DHCP server is missed by those on its bridge; rules that are nobody's
    own, such as the gateway's, by all.  Nobody is shut for them: what filters
    an instance is in chains of its own, whose failures name it already.
    """
    if not changes.failures:
        return changes
    missing = {"firewall": all_instances(plan)}
    for bridge in plan.bridges:
        uuids = sorted({port.instance_uuid for port in bridge.ports})
        missing[f"dhcp {bridge.name}"] = tuple(uuids)

    def with_instances(failure: Failure) -> Failure:
        subject = failure.subject
        if subject.startswith("firewall "):
            subject = "firewall"
        uuids = failure.instances or missing.get(subject, ())
        return replace(failure, instances=uuids)

    return replace(
        changes, failures=tuple(map(with_instances, changes.failures))
    )


def guarded(subject: str, apply: Callable[[], Changes], plan: Plan) -> Changes:
    """Return what `apply` did; an unforeseen error is everybody's failure."""
    try:
        return apply()
    except Exception as error:
        LOG.exception("%s: unforeseen error", subject)
        text = " ".join(str(error).split()) or type(error).__name__
        return Changes(failures=(Failure(subject, text, all_instances(plan)),))


def affected(changes: Changes) -> frozenset[str]:
    """The uuids of the instances that suffer from a failure."""
    return frozenset(
        uuid for failure in changes.failures for uuid in failure.instances
    )


def all_instances(plan: Plan) -> tuple[str, ...]:
    """The uuids of all instances that have a port in the plan, sorted."""
    return tuple(
        sorted(
            {
                port.instance_uuid
                for bridge in plan.bridges
                for port in bridge.ports
            }
        )
    )
