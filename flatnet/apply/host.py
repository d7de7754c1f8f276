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
from functools import partial

from flatnet.apply.affected_instances import (
    affected,
    guarded,
    named,
    perhaps_open,
)
from flatnet.apply.dhcp.dhcp import apply_dhcp
from flatnet.apply.filter.connections.conntrack import (
    cut_connections,
    forget_connections,
    fresh_addresses,
    late_instances,
)
from flatnet.apply.filter.connections.owed_cuts import NOTHING, Owed, after
from flatnet.apply.filter.connections.released import parted
from flatnet.apply.filter.guard.guard import apply_guard
from flatnet.apply.filter.guard.handovers import NOBODY, Parted, nobody
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.filter.iptables.firewall import apply_firewall
from flatnet.apply.filter.iptables.in_force import open_instances
from flatnet.apply.floating import apply_floating, permitted
from flatnet.apply.link.bridge import remove_ports
from flatnet.apply.link.device_reads import DUMP, Reads
from flatnet.apply.link.forwarding import apply_forwarding
from flatnet.apply.link.sysctl import apply_sysctls
from flatnet.apply.skipped_steps import StepInputs
from flatnet.apply.step_inputs import step_inputs
from flatnet.apply.ways import apply_ways
from flatnet.apply.worker_cache import WorkerCache
from flatnet.state.changes import Changes, Failure, joined
from flatnet.state.effects import Surface
from flatnet.state.plan import Plan

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
    known: WorkerCache
    devices: Reads = DUMP


@dataclass(frozen=True)
class Task:
    """What a pass is to do.

    `unfit` says which instances stay shut, and why, `owed` whose tracked
    connections are to be judged, whatever becomes of rules.  `ports` are the
    names of those ports that are looked at; none for all.
    """

    plan: Plan
    unfit: tuple[Failure, ...] = ()
    owed: Owed = NOTHING
    ports: frozenset[str] | None = None


@dataclass(frozen=True)
class Outcome:
    """What a pass did; `owed` is whose connections are still to be cut."""

    changes: Changes
    owed: Owed


def apply_task(task: Task, tools: Tools) -> Outcome:
    """Make this host look like the plan of a task, any number of times."""
    plan, devices, own = task.plan, tools.devices, tools.known.ports
    on, step = _step_inputs(task, tools), tools.known.skipped_steps.step
    steps = joined(
        step(Surface.SYSCTL, on, lambda: apply_sysctls(plan)),
        guarded(Surface.PORT, lambda: own.restore(plan, devices, task.ports)),
        guarded(
            Surface.PORT, lambda: remove_ports(plan, devices, ports=task.ports)
        ),
        *_filtered(plan, tools, on),
    )
    unfit = Changes(failures=task.unfit)
    rules = joined(unfit, steps)
    cut = _cut(plan, _judged(task, rules), tools)
    waiting = late_instances(plan, cut, devices)
    shut = _opened(plan, steps, tools)
    shut |= perhaps_open(unfit, plan) | affected(waiting, plan)
    bridges = step(
        Surface.BRIDGE,
        {} if shut else on,
        lambda: apply_ways(
            plan, devices, tools, steps, shut=shut, ports=task.ports
        ),
    )
    reached = _reached(plan, tools, on, rules)
    dhcp = step(
        Surface.DHCP,
        {} if bridges.failures else on,
        lambda: _apply_dhcp(plan, tools, bridges),
    )
    done = named(joined(rules, cut, waiting, bridges, reached, dhcp), plan)
    own.note(plan, devices, task.ports)
    ports = tools.known.finder.ports(plan, done, devices, ports=task.ports)
    return Outcome(replace(done, ports=ports), Owed(cut.uncut))


def _step_inputs(task: Task, tools: Tools) -> StepInputs:
    """What steps rest on in a pass about no port; others take all steps."""
    if task.ports is None or task.ports:
        return {}
    return step_inputs(
        task.plan,
        tools.known,
        tools.devices,
        networks_path=tools.paths.networks_path,
        config_file=tools.paths.dnsmasq_config_file,
    )


def _reached(
    plan: Plan, tools: Tools, on: StepInputs, rules: Changes
) -> Changes:
    """Have the outside reached, and guests from there."""
    step, known = tools.known.skipped_steps.step, tools.known.floating
    failed = {each.subject.surface for each in rules.failures}
    are_led = Surface.FIREWALL not in failed
    return joined(
        step(Surface.FORWARDING, on, lambda: apply_forwarding(plan)),
        step(
            Surface.FLOATING,
            on if are_led else {},
            lambda: apply_floating(
                plan, known, tools.session, tools.devices, are_led=are_led
            ),
        ),
    )


def _filtered(plan: Plan, tools: Tools, on: StepInputs) -> tuple[Changes, ...]:
    """Bring rules and guard to the plan; what drops comes first in both.

    Who gets an address that another has is let in by his own groups once the
    guard takes it to his port alone: so it is written after what sets lose
    and before what they come to have.
    """
    guarded_by: list[Changes] = []
    step = tools.known.skipped_steps.step

    def cut(addresses: frozenset[str]) -> Changes:
        return forget_connections(plan, addresses, tools.session)

    def between() -> None:
        going = parted(plan, tools.session)
        write = partial(_apply_guard, plan, tools, cut, going)
        guarded_by.append(step(Surface.GUARD, on, write))

    rules = step(
        Surface.FIREWALL, on, lambda: _apply_firewall(plan, tools, between)
    )
    if not guarded_by:
        between()
    return rules, *guarded_by


def _judged(task: Task, rules: Changes) -> frozenset[str]:
    """The addresses whose connections are to be judged anew."""
    wanted, owed = task.plan.filter, task.owed
    if rules.failures:
        owed |= after(rules, wanted)
    return rules.judged | owed.among(wanted)


def _cut(plan: Plan, judged: frozenset[str], tools: Tools) -> Changes:
    """Cut the connections of those judged; a step that dies cuts nobody's."""
    devices = tools.devices
    cut = guarded(
        Surface.CONNTRACK,
        lambda: cut_connections(plan, judged, tools.session, devices),
    )
    if any(each.is_of_host for each in cut.failures):
        return replace(cut, uncut=judged | fresh_addresses(plan, devices))
    return cut


def _opened(plan: Plan, steps: Changes, tools: Tools) -> frozenset[str]:
    """Of the instances that suffer, those whose rules are not in force.

    A step that failed may have left all of them as they were, or have failed
    for something that keeps nobody out.
    """
    suspects = perhaps_open(steps, plan)
    if not suspects:
        return suspects
    try:
        return suspects & open_instances(
            plan,
            tools.session,
            tools.known,
            top_regex=tools.paths.top_regex,
            bottom_regex=tools.paths.bottom_regex,
        )
    except Exception:
        LOG.exception("rules in force: unforeseen error")
        return suspects


def apply_rules(plan: Plan, tools: Tools) -> Changes:
    """Put the rules of a plan back, and nothing else; the guard first."""
    tools.known.skipped_steps.forget()
    return joined(
        guarded(Surface.GUARD, lambda: _apply_guard(plan, tools)),
        guarded(Surface.FIREWALL, lambda: _apply_firewall(plan, tools)),
    )


def _apply_guard(
    plan: Plan,
    tools: Tools,
    cut: Callable[[frozenset[str]], Changes] = nobody,
    going: Parted = NOBODY,
) -> Changes:
    return apply_guard(
        tools.session,
        tools.known.guarding,
        plan.guard,
        plan.in_use,
        tools.devices,
        cut,
        going,
    )


def _apply_firewall(
    plan: Plan, tools: Tools, between: Callable[[], None] | None = None
) -> Changes:
    return apply_firewall(
        permitted(plan, tools.known.floating, tools.devices),
        tools.known,
        top_regex=tools.paths.top_regex,
        bottom_regex=tools.paths.bottom_regex,
        between=between,
    )


def _apply_dhcp(plan: Plan, tools: Tools, bridges: Changes) -> Changes:
    """Serve the bridges that are as planned; `bridges` says which are not."""
    broken = frozenset(
        str(failure.subject.key)
        for failure in bridges.failures
        if failure.subject.surface is Surface.BRIDGE
    )
    return apply_dhcp(
        plan.dhcp_servers,
        tools.known.daemons,
        tools.known.texts,
        tools.known.leases,
        tools.known.elsewhere,
        networks_path=tools.paths.networks_path,
        config_file=tools.paths.dnsmasq_config_file,
        skip=broken,
    )
