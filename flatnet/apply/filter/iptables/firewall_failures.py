"""What of the firewall could not be written, and which instances lack it."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from flatnet.apply.filter.iptables.ipset import all_packed
from flatnet.apply.filter.iptables.iptables import table_key
from flatnet.apply.filter.iptables.narrowed import naming
from flatnet.apply.filter.iptables.tables import AddressSet, Table
from flatnet.exceptions import HostSetupError
from flatnet.state.changes import Changes, Failure
from flatnet.state.effects import Subject, Surface
from flatnet.state.filtering import Filter


def of_all(surface: Surface, error: HostSetupError, wanted: Filter) -> Changes:
    """Return that nothing could be done; all that are filtered lack it."""
    failure = Failure(Subject(surface), str(error), _filtered(wanted))
    return Changes(failures=(failure,))


def of_table(table: Table, error: str, wanted: Filter) -> Changes:
    """Return that a table stayed as it was."""
    named = _filtered(wanted) if table.name == "filter" else ()
    subject = Subject(Surface.FIREWALL, table_key(table))
    return Changes(failures=(Failure(subject, error, named),))


def of_chains(
    table: Table, shut: Mapping[str, str], wanted: Filter
) -> tuple[Failure, ...]:
    """Return the chains of groups that let nothing in.

    :param shut: why, by name
    """
    return tuple(
        Failure(
            Subject(Surface.FIREWALL, table_key(table, chain.name)),
            f"{shut[chain.name]}; security group {chain.group} lets nothing "
            "in",
            _members(wanted, {chain.group}),
        )
        for chain in table.chains
        if chain.name in shut
    )


def of_sets(
    errors: Mapping[str, str], sets: tuple[AddressSet, ...], wanted: Filter
) -> tuple[Failure, ...]:
    """Return what could not be written, with whom the rules need it for."""
    return tuple(
        Failure(
            Subject(Surface.IPSET, each.name),
            errors[each.name],
            _using(each, wanted),
        )
        for each in sets
        if each.name in errors
    )


def _using(each: AddressSet, wanted: Filter) -> tuple[str, ...]:
    if each.source is not None:
        return _members(wanted, naming(wanted, each.source))
    return _sorted(
        guest.instance_uuid
        for guest in wanted.guests
        if not each.members.isdisjoint(all_packed(guest.addresses))
    )


def _filtered(wanted: Filter) -> tuple[str, ...]:
    """The instances that rules are to filter, sorted."""
    return _sorted(g.instance_uuid for g in wanted.guests if g.filtered)


def _members(
    wanted: Filter, groups: AbstractSet[int | None]
) -> tuple[str, ...]:
    """The instances here that are in one of the groups, sorted."""
    return _sorted(
        guest.instance_uuid
        for guest in wanted.guests
        if not groups.isdisjoint(guest.groups)
    )


def _sorted(uuids: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(uuids)))
