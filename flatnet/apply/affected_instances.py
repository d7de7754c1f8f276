"""Who suffers from what failed.

A step as a whole is the host's: that is told once and concerns everybody,
however many they are.  What failed of one part names those who need it.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace

from flatnet.state.changes import HOST, Changes, Failure, network_key
from flatnet.state.effects import Subject, Surface
from flatnet.state.plan import Plan

LOG = logging.getLogger(__name__)


def guarded(surface: Surface, apply: Callable[[], Changes]) -> Changes:
    """Return what `apply` did; an unforeseen error is the host's failure."""
    try:
        return apply()
    except Exception as error:
        subject = Subject(surface)
        LOG.exception("%s: unforeseen error", subject)
        text = " ".join(str(error).split()) or type(error).__name__
        return Changes(failures=(Failure(subject, text, key=HOST),))


def affected(changes: Changes, plan: Plan) -> frozenset[str]:
    """The uuids of the instances of a plan that suffer from a failure."""
    found = {u for each in changes.failures for u in each.instances}
    if any(each.is_of_host for each in changes.failures):
        found.update(plan.instances)
    return frozenset(found)


def perhaps_open(changes: Changes, plan: Plan) -> frozenset[str]:
    """Those who may be open by what failed: not by a group, if that is all.

    It lets in nothing then, and nobody's port is shut for it.
    """
    failures = (each for each in changes.failures if not each.is_of_group)
    return affected(Changes(failures=tuple(failures)), plan)


def named(changes: Changes, plan: Plan) -> Changes:
    """Name in each failure who lacks what failed.

    A DHCP server is missed by those of its network; rules that are nobody's
    own, such as the gateway's, by the host.  Nobody is shut for them: what
    filters an instance is told by other failures.
    """
    failures = (_named(each, plan) for each in changes.failures)
    return replace(changes, failures=tuple(failures))


def _served(plan: Plan, bridge: str) -> Iterator[str]:
    """The uuids of whom a bridge's DHCP server knows, on whatever hosts."""
    for server in plan.dhcp_servers:
        if server.bridge == bridge:
            yield from (each.instance_uuid for each in server.hosts)


def _named(failure: Failure, plan: Plan) -> Failure:
    if failure.instances or failure.key:
        return failure
    subject = failure.subject
    if subject.surface is Surface.FIREWALL:
        return replace(failure, key=HOST)
    if subject.surface is Surface.DHCP:
        for bridge in plan.bridges:
            if bridge.name == subject.key:
                key = network_key(bridge.network)
                found = {*bridge.instances, *_served(plan, bridge.name)}
                return replace(
                    failure, instances=tuple(sorted(found)), key=key
                )
    return failure
