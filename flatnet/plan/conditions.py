"""In what condition hosts and instances are, in a word and a reason.

Made of rows alone: what callers want, what hosts found, and when they
reported last.
"""

from collections.abc import Iterable

from flatnet.state.rows import Binding, Instance, Service

Condition = tuple[str, str | None]
# Seconds between two reports at most, and how many may be missed.
_REPORT_INTERVAL, _MISSED_REPORTS = 10, 3
# After so many without a report a daemon is gone, whatever its options.
LONGEST_SILENCE = _REPORT_INTERVAL * _MISSED_REPORTS
_BUILDING, _ACTIVE = "building", "active"
# What a host found, and what that is for the instance; the worst comes first.
_OF_FOUND = (
    ("missing", "failed"),
    ("shut", "shut"),
    ("held", "away"),
    (None, _BUILDING),
)


def report_interval(reconcile_interval: int) -> int:
    """Seconds between two reports of a daemon."""
    return min(reconcile_interval, _REPORT_INTERVAL)


def is_up(service: Service, reconcile_interval: int) -> bool:
    """Whether a daemon reported lately, and was not stopped."""
    patience = _MISSED_REPORTS * report_interval(reconcile_interval)
    return service.state != "stopped" and service.seconds_ago <= patience


def silence(service: Service, reconcile_interval: int) -> str | None:
    """Return why a daemon cannot be asked, in one line, or none."""
    if is_up(service, reconcile_interval):
        return None
    state, reason = host_condition(service, reconcile_interval)
    return (
        f"host {service.host} is {state} ({reason}), so nobody can be asked; "
        f"it reported last at {service.last_seen_up}"
    )


def host_condition(
    service: Service | None, reconcile_interval: int
) -> Condition:
    """Return the state of a host and its reason.

    ready, degraded (somebody suffers), failed (its last pass), starting,
    stopped, stale (it has missed three reports) or unknown (it never
    reported).
    """
    if service is None:
        return "unknown", "no flatnet-manager has ever reported from here"
    if service.state == "stopped":
        return "stopped", "flatnet-manager was stopped; guests keep theirs"
    if not is_up(service, reconcile_interval):
        return "stale", f"no report for {service.seconds_ago:.0f} s"
    return service.state or "starting", service.reason


def instance_condition(
    instance: Instance,
    *,
    has_network: bool,
    bound: Iterable[Binding],
    host: Condition,
) -> Condition:
    """Return the state of a living instance and its reason.

    active, building (nobody has asked for it, or its host has not looked
    yet), failed (its host could not), shut (its port is down), away (its host
    is not there).

    :param bound: its bindings on the host that its row names
    :param host: the condition of that host
    """
    if instance.host is None:
        return _BUILDING, "its row names no host"
    if not has_network:
        return _BUILDING, "it was not allocated"
    state, reason = host
    if state in ("unknown", "stopped", "stale"):
        return "away", f"host {instance.host} is {state}: {reason}"
    if state == "failed":
        return "failed", reason
    found = {each.found: each.reason for each in bound}
    if not found:
        return _BUILDING, f"host {instance.host} has not looked at it yet"
    for what, condition in _OF_FOUND:
        if what in found:
            return condition, found[what]
    return _ACTIVE, found["up"]
