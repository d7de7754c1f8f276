"""What of the firewall could not be written, and who lacks it.

Each is told once, under the key that it is about: the host, if nobody's rules
can be read or written; a group, whose members it lets nothing in to; or the
instances that a set is needed for.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from flatnet.apply.filter.iptables.ipset import SetEdits, all_packed
from flatnet.apply.filter.iptables.iptables import table_key
from flatnet.apply.filter.iptables.open_groups import Unclosed
from flatnet.apply.filter.iptables.revoked_access import naming
from flatnet.apply.filter.iptables.tables import AddressSet, Table
from flatnet.exceptions import HostSetupError
from flatnet.state.changes import HOST, Changes, Failure, group_key
from flatnet.state.effects import Subject, Surface
from flatnet.state.filtering import Filter


def of_host(surface: Surface, error: HostSetupError) -> Changes:
    """Return that nothing could be done for anybody here."""
    return Changes(failures=(Failure(Subject(surface), str(error), key=HOST),))


def of_table(table: Table, error: str) -> Changes:
    """Return that a table stayed as it was.

    But for the filter it keeps nobody out, so that it is for the end of the
    pass to say who lacks it.
    """
    key = HOST if table.name == "filter" else None
    subject = Subject(Surface.FIREWALL, table_key(table))
    return Changes(failures=(Failure(subject, error, key=key),))


def of_chains(
    table: Table, shut: Mapping[str, str], wanted: Filter
) -> tuple[Failure, ...]:
    """Return the chains of groups that let nothing in.

    :param shut: why, by name
    """
    if not shut:
        return ()
    return tuple(
        Failure(
            Subject(Surface.FIREWALL, table_key(table, chain.name)),
            f"{shut[chain.name]}; security group {chain.group} lets nothing "
            "in",
            _members(wanted, {chain.group}),
            group_key(chain.group),
        )
        for chain in table.chains
        if chain.group is not None and chain.name in shut
    )


def of_sets(
    errors: Mapping[str, str],
    edits: Iterable[SetEdits],
    sets: tuple[AddressSet, ...],
    wanted: Filter,
    unclosed: Unclosed,
) -> tuple[Failure, ...]:
    """Return what could not be written, with whom the rules need it for.

    Whoever was to leave a set may be in it still.

    :param edits: what was to be written
    :param unclosed: the groups that let nothing in for a set, by its name
    """
    if not errors:
        return ()
    found = []
    gone = {each.wanted.name: each.gone for each in edits}
    for each in (each for each in sets if each.name in errors):
        subject, error = Subject(Surface.IPSET, each.name), errors[each.name]
        if each.name not in unclosed:
            users = _using(each, gone.get(each.name, frozenset()), wanted)
            found.append(Failure(subject, error, users))
            continue
        for group in sorted(unclosed[each.name]):
            text = f"{error}; security group {group} lets nothing in"
            members = _members(wanted, {group})
            found.append(Failure(subject, text, members, group_key(group)))
    return tuple(found)


def _using(
    each: AddressSet, gone: AbstractSet[bytes], wanted: Filter
) -> tuple[str, ...]:
    if each.source is not None:
        return _members(wanted, naming(wanted, each.source))
    return _sorted(
        guest.instance_uuid
        for guest in wanted.guests
        if not each.members.isdisjoint(mine := all_packed(guest.addresses))
        or not gone.isdisjoint(mine)
    )


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
