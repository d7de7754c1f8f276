"""Bring floating addresses to a plan: who has them, and what is connected.

Goals, and how each is met:

* No connection outlives what it was led by: where an address leads elsewhere
  or nowhere, what is not as the rules would lead it now is forgotten.  The
  address is taken away after that, so that who dies in between does it again.
* The host is not met in a guest's place: an address is set once its rules are
  in force.
* The host is not cut off: what is its own, or what it needs, or an address of
  guests, is translated for nobody.
* What stands costs nothing but to be compared.

Given up: between the rules that go and the address that follows, some
milliseconds, what is for the address meets the host.
"""

from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network

from flatnet.apply.filter.connections.floating_flows import misled
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.link import floating
from flatnet.apply.link.device_reads import Reads
from flatnet.exceptions import HostSetupError
from flatnet.state.changes import Changes, Failure, joined
from flatnet.state.effects import Subject, Surface
from flatnet.state.filtering import Filter, FloatingAddress
from flatnet.state.plan import Plan

Floating = tuple[FloatingAddress, ...]


@dataclass
class FloatingAddresses:
    """What one process knows of the floating addresses of its host.

    `led` is where each led when connections were looked at last, none before
    that; `hairpins` are the ports that needed one.
    """

    led: dict[str, str] | None = None
    hairpins: set[str] = field(default_factory=set)


def permitted(plan: Plan, devices: Reads) -> Filter:
    """Return the filter of a plan with what may be translated alone."""
    wanted = plan.filter
    if not wanted.floating:
        return wanted
    refused = {id(each) for each, _ in _refused(plan, devices)}
    if not refused:
        return wanted
    kept = (each for each in wanted.floating if id(each) not in refused)
    return replace(wanted, floating=tuple(kept))


def apply_floating(
    plan: Plan,
    known: FloatingAddresses,
    session: Session,
    devices: Reads,
    *,
    are_led: bool,
) -> Changes:
    """Make the floating addresses of this host those of the plan.

    :param are_led: whether the rules that translate are in force
    """
    wanted = permitted(plan, devices).floating
    stale = floating.stale(wanted, devices)
    cut = _cut(wanted, {each.ip for each in stale}, known, session)
    removed = Changes()
    if not cut.failures:
        removed = floating.remove(stale, devices)
    added = Changes()
    if are_led:
        lacking = floating.missing(wanted, devices)
        times = max([1, *(each.announced for each in plan.bridges)])
        added = floating.add(lacking, devices, times=times)
    turned = floating.turn_back(wanted, known.hairpins, devices)
    refusals = tuple(
        floating.failure(each, text) for each, text in _refused(plan, devices)
    )
    return joined(cut, removed, added, turned, Changes(failures=refusals))


def _cut(
    wanted: Floating,
    left: set[str],
    known: FloatingAddresses,
    session: Session,
) -> Changes:
    """Forget connections by addresses that lead elsewhere than before.

    :param left: addresses that are still here and lead nowhere
    """
    now = {each.address: each.fixed for each in wanted}
    before = known.led
    other = set(now)
    if before is not None:
        other = {a for a, _ in before.items() ^ now.items()}
    other |= left
    if other:
        try:
            made = misled(session.proven.asking, other, now)
        except (HostSetupError, OSError) as error:
            text = f"connections could not be cut: {error}"
            return Changes(
                failures=(Failure(Subject(Surface.FLOATING), text),)
            )
    known.led = now
    return Changes(made if other else ())


def _refused(plan: Plan, devices: Reads) -> list[tuple[FloatingAddress, str]]:
    """Those that nobody may have, each with why."""
    wanted = plan.filter.floating
    if not wanted:
        return []
    own = {
        each.ip
        for each in devices.addresses()
        if not each.value.endswith("/32")
    }
    needed = {each.address: each.what for each in plan.in_use}
    networks = [IPv4Network(e.cidr) for e in plan.filter.gateways]
    found = []
    for each in wanted:
        address = IPv4Address(each.address)
        text = ""
        if each.address in own:
            text = "it is this host's own address"
        elif each.address in needed:
            text = f"it is {needed[each.address]} of this host"
        elif any(address in network for network in networks):
            text = "it is an address of a flat network"
        if text:
            found.append((each, f"{text}, and is not translated"))
    return found
