"""Bring iptables, ip6tables and the address sets to the plan.

Goals, and how each is met:

* Twice is once: what equals the plan, by marks (see `iptables`) and members
  (see `ipset`), is not written, and a table without a difference gets no
  transaction.
* No moment without the rules: each table changes in one transaction.  Sets
  are there before the rules that name them and go after them.
* Fail closed: if a table's transaction is refused, the chains of instances
  are tried in halves until the bad ones are known; those become a plain
  DROP and are reported, the rest is applied as planned.
* Nobody is blamed for what failed once: it is tried a second time first, and
  a lock that somebody holds is waited for (see `restore`).
* Unreadable is not empty: see `saved`.
* Whatever `iptables-restore` is, nft or legacy, is used; leftovers of ours
  in the other one are reported, because both would judge every packet.

Given up: the tables are not changed together, and if a table is refused
for another reason than an instance's chain it stays as it was; then every
instance that has a chain in it is reported, and who of them is shut is for
`force` to say.
"""

from collections.abc import Iterable
from dataclasses import replace

from flatnet.apply import ipset
from flatnet.apply.iptables import (
    INSTANCE_PREFIX,
    Edits,
    Existing,
    changed,
    edits,
)
from flatnet.apply.native import delete_rules
from flatnet.apply.placement import Placement, placement
from flatnet.apply.restore import LockHeldError, refused_chains, restore
from flatnet.apply.saved import COMMANDS, other_backend, read_tables
from flatnet.exceptions import HostSetupError
from flatnet.state import AddressSet, Chain, Changes, Failure, Table, joined


def apply_firewall(
    tables: tuple[Table, ...],
    address_sets: tuple[AddressSet, ...],
    *,
    top_regex: str = "",
    bottom_regex: str = "",
) -> Changes:
    """Make everything of ours in iptables and ipset equal the plan.

    :param top_regex: foreign rules at the top of a built-in chain that
        match stay above our jump
    :param bottom_regex: those that match stay below in any case
    """
    try:
        top = placement(top_regex, bottom_regex)
    except HostSetupError as error:
        failure = Failure("firewall", str(error), _all(tables))
        return Changes(failures=(failure,))
    try:
        existing = ipset.read_sets()
    except HostSetupError as error:
        existing = {}
        named = _naming(tables, [each.name for each in address_sets])
        missing = (Failure("ipset", str(error), named),)
        return joined(
            Changes(failures=missing * bool(address_sets)),
            _apply_families(tables, top),
        )
    made, errors = ipset.write_sets(address_sets, existing)
    failures = (
        Failure(f"ipset {name}", text, _naming(tables, [name]))
        for name, text in sorted(errors.items())
    )
    written = Changes(made, tuple(failures))
    rules = _apply_families(tables, top)
    made, errors = ipset.remove_sets(address_sets, existing)
    failures = (
        Failure(f"ipset {name}", text) for name, text in sorted(errors.items())
    )
    return joined(written, rules, Changes(made, tuple(failures)))


def _apply_families(tables: tuple[Table, ...], top: Placement) -> Changes:
    """Both families, which share a lock: who waited for it once, waited."""
    done: list[Changes] = []
    left = tables
    for family in (4, 6):
        try:
            done.append(_apply_family(family, tables, top))
        except LockHeldError as error:
            failure = Failure("firewall", str(error), _all(left))
            return joined(*done, Changes(failures=(failure,)))
        left = tuple(each for each in tables if each.family != family)
    return joined(*done)


def _apply_family(
    family: int, tables: tuple[Table, ...], top: Placement
) -> Changes:
    wanted = {each.name: each for each in tables if each.family == family}
    try:
        saved = read_tables(family)
        existing = saved.tables
        ours = {name for name, each in existing.items() if each.holds_ours}
        names = sorted(wanted.keys() | ours)
        parts = [
            _apply_table(
                existing.get(name, Existing()),
                wanted.get(name, Table(family, name)),
                top,
            )
            for name in names
        ]
        told = {saved.warnings[n]: n for n in names if n in saved.warnings}
        return joined(
            *parts, Changes(warnings=tuple(told)), other_backend(family)
        )
    except LockHeldError:
        raise
    except HostSetupError as error:
        if not wanted:
            return Changes()
        failure = Failure("firewall", str(error), _all(wanted.values()))
        return Changes(failures=(failure,))


def _apply_table(existing: Existing, wanted: Table, top: Placement) -> Changes:
    shut: dict[str, str] = {}
    plan = edits(existing, wanted, top)
    if _write(wanted, plan):
        # Once is no reason to blame anybody; and what it was to change may
        # have changed since it was read.
        tables = read_tables(wanted.family).tables
        existing = tables.get(wanted.name, Existing())
        plan = edits(existing, wanted, top)
        error = _write(wanted, plan)
        if error:
            shut = refused_chains(wanted, _candidates(existing, wanted))
            plan = edits(existing, _closed(wanted, shut), top)
            error = _write(wanted, plan)
        if error:
            return _failed(wanted, error)
    failures = tuple(
        Failure(
            f"firewall chain {chain.name}",
            f"{shut[chain.name]}; nothing new is let in to the instance",
            _all([Table(wanted.family, wanted.name, (chain,))]),
        )
        for chain in wanted.chains
        if chain.name in shut
    )
    return Changes(plan.made, failures)


def _write(table: Table, plan: Edits) -> str:
    """Make the changes to a table; return the error, or nothing.

    :raises HostSetupError: somebody's lock, or not even iptables can be run
    """
    delete_rules(table.family, table.name, plan.before)
    error = restore(table.family, plan.text) if plan.text else ""
    if not error:
        delete_rules(table.family, table.name, plan.after)
    return error


def _candidates(existing: Existing, wanted: Table) -> tuple[Chain, ...]:
    """The chains of instances that are to be written."""
    return tuple(
        chain
        for chain in changed(existing, wanted)
        if chain.name.startswith(INSTANCE_PREFIX)
    )


def _closed(table: Table, shut: Iterable[str]) -> Table:
    """Return the table with nothing but a DROP in the chains named."""
    chains = {
        chain.name: replace(chain, rules=("-j DROP",))
        if chain.name in shut
        else chain
        for chain in table.chains
    }
    return replace(table, chains=tuple(chains.values()))


def _failed(table: Table, error: str) -> Changes:
    subject = f"firewall {COMMANDS[table.family]} {table.name}"
    return Changes(failures=(Failure(subject, error, _all([table])),))


def _all(tables: Iterable[Table]) -> tuple[str, ...]:
    """The instances that have a chain in these tables, sorted."""
    found = {c.instance_uuid for table in tables for c in table.chains}
    return tuple(sorted(uuid for uuid in found if uuid))


def _naming(tables: tuple[Table, ...], sets: list[str]) -> tuple[str, ...]:
    """The instances with a rule that names one of the sets, sorted."""
    found = {
        chain.instance_uuid
        for table in tables
        for chain in table.chains
        for rule in chain.rules
        if any(f"--match-set {name} " in rule for name in sets)
    }
    return tuple(sorted(uuid for uuid in found if uuid))
