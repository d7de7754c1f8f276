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

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network

from flatnet.apply.filter.connections.floating_flows import misled
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.link import floating
from flatnet.apply.link.device_reads import Reads
from flatnet.apply.link.floating import serves_as_floating
from flatnet.apply.link.link import Address
from flatnet.exceptions import HostSetupError
from flatnet.state.changes import Changes, Failure, joined
from flatnet.state.effects import Subject, Surface
from flatnet.state.filtering import Filter, FloatingAddress
from flatnet.state.plan import Plan

Floating = tuple[FloatingAddress, ...]
_Refused = tuple[tuple[FloatingAddress, str], ...]


@dataclass
class FloatingAddresses:
    """What one process knows of the floating addresses of its host.

    `led` is where each led when connections were looked at last, none before
    that; `hairpins` are the ports that needed one.  `settled` is what a pass
    that had nothing to do rested on, `judged` what was refused, and by what.
    """

    led: dict[str, str] | None = None
    hairpins: set[str] = field(default_factory=set)
    settled: object = None
    judged: tuple[object, _Refused] = None, ()

    def refused(self, plan: Plan, devices: Reads) -> _Refused:
        """Return those that nobody may have, each with why."""
        rules = plan.filter
        if not rules.floating:
            return ()
        addresses = devices.addresses()
        basis = rules.floating, rules.gateways, plan.in_use, addresses
        if self.judged[0] != basis:
            self.judged = basis, tuple(_refused(plan, addresses))
        return self.judged[1]


def permitted(plan: Plan, known: FloatingAddresses, devices: Reads) -> Filter:
    """Return the filter of a plan with what may be translated alone."""
    wanted = plan.filter
    refused = {each for each, _ in known.refused(plan, devices)}
    if not refused:
        return wanted
    kept = (each for each in wanted.floating if each not in refused)
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
    basis = _basis(plan, devices, are_led)
    if basis == known.settled:
        return Changes()
    wanted = permitted(plan, known, devices).floating
    stale = floating.stale(wanted, devices)
    cut, led = _cut(wanted, {each.ip for each in stale}, known, session)
    # As long as other rules are in force, they lead elsewhere.
    known.led = led if are_led else known.led
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
        floating.failure(each, text)
        for each, text in known.refused(plan, devices)
    )
    done = joined(cut, removed, added, turned, Changes(failures=refusals))
    known.settled = basis if done == Changes() else None
    return done


def _basis(plan: Plan, devices: Reads, are_led: bool) -> object:
    """What it follows from that there is nothing to do.

    Nearly all of it are the same objects each time.
    """
    rules, named = plan.filter, devices.named()
    links = [named.get(each.port) for each in rules.floating]
    used = {each.device: named.get(each.device) for each in rules.floating}
    return (
        *(rules.floating, rules.gateways, plan.in_use),
        *(devices.addresses(), links, used, are_led),
    )


def _cut(
    wanted: Floating,
    left: set[str],
    known: FloatingAddresses,
    session: Session,
) -> tuple[Changes, dict[str, str] | None]:
    """Forget connections by addresses that lead elsewhere than before.

    Return also where each leads by now, as far as connections are concerned.

    :param left: addresses that are still here and lead nowhere
    """
    now = {each.address: each.fixed for each in wanted}
    before = known.led
    other = set(now)
    if before is not None:
        other = {a for a, _ in before.items() ^ now.items()}
    other |= left
    if not other:
        return Changes(), now
    try:
        return Changes(misled(session.proven.asking, other, now)), now
    except (HostSetupError, OSError) as error:
        text = f"connections could not be cut: {error}"
        failure = Failure(Subject(Surface.FLOATING), text)
        return Changes(failures=(failure,)), before


def _refused(
    plan: Plan, addresses: Iterable[Address]
) -> Iterator[tuple[FloatingAddress, str]]:
    own = {each.ip for each in addresses if not serves_as_floating(each)}
    needed = {each.address: each.what for each in plan.in_use}
    networks = [IPv4Network(e.cidr) for e in plan.filter.gateways]
    for each in plan.filter.floating:
        address = IPv4Address(each.address)
        text = ""
        if each.address in own:
            text = "it is this host's own address"
        elif each.address in needed:
            text = f"it is {needed[each.address]}, which this host needs"
        elif any(address in network for network in networks):
            text = "it is an address of a flat network"
        if text:
            yield each, f"{text}, and is not translated"
