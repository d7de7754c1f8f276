"""How much a plan may hold, so that an odd one is refused at once.

A message has its own limit, in bytes; below it a plan of many tiny parts
would still be checked, and then applied, for minutes.  The limits are far
above any host: a thousand instances use less than a hundredth of each.  What
one instance has is bounded where it is checked, which is done once.
"""

from collections.abc import Iterable, Sized

from flatnet.state.plan import Plan

_FEW = 1 << 12
_MANY = 1 << 16
_RULES = 1 << 21
# As many as the sets are made for.
_MEMBERS = 1 << 20


def check_bounds(plan: Plan) -> None:
    """Check how many there are of each, before any of them is looked at.

    :raises ValueError: there are too many
    """
    guard = plan.guard
    rules = plan.filter
    guarded = guard.ports if guard else ()
    for what, most, parts in (
        ("sysctls", _MANY, (plan.sysctls,)),
        ("devices that forward", _FEW, (plan.forwarding.devices,)),
        ("bridges", _FEW, (plan.bridges,)),
        ("networks", _FEW, (guard.networks if guard else (),)),
        ("DHCP servers", _FEW, (plan.dhcp_servers,)),
        ("networks", _FEW, (rules.networks, rules.gateways)),
        ("guests", _MANY, (rules.guests,)),
        ("floating addresses", _MANY, (rules.floating,)),
        ("groups", _MANY, (rules.groups, rules.members)),
        ("instances that begin anew", _MANY, (plan.renewed,)),
        ("addresses that the host needs", _FEW, (plan.in_use,)),
        ("ports", _MANY, [each.ports for each in plan.bridges]),
        ("ports that are gone", _MANY, (plan.gone, plan.moved)),
        ("ports in the guard", _MANY, (guarded,)),
        ("DHCP hosts", _MANY, [each.hosts for each in plan.dhcp_servers]),
        ("name servers", _FEW, [each.servers for each in plan.dhcp_servers]),
        ("names", _MANY, [each.elsewhere for each in plan.dhcp_servers]),
        ("openings", _RULES, [each.openings for each in rules.groups]),
        ("members", _MEMBERS, [each.addresses for each in rules.members]),
        ("devices", _FEW, (rules.outside.forwards or (),)),
        ("name servers", _FEW, (rules.outside.name_servers,)),
        ("ranges", _FEW, (rules.outside.kept, rules.outside.snat_ranges)),
    ):
        _at_most(what, most, parts)


def few(what: str, parts: Sized) -> None:
    """Check how many there are of what one instance has.

    :raises ValueError: there are too many
    """
    _at_most(what, _FEW, (parts,))


def _at_most(what: str, most: int, parts: Iterable[Sized]) -> None:
    count = sum(map(len, parts))
    if count > most:
        raise ValueError(f"it has {count} {what}, at most {most} are taken")
