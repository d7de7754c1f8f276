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
* Whatever `iptables-restore` is, nft or legacy, is used; leftovers of ours
  in the other one are reported, because both would judge every packet.

Given up: the tables are not changed together, and if a table is refused
for another reason than an instance's chain it stays as it was; then every
instance that has a chain in it is reported.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import replace

from flatnet.apply import ipset
from flatnet.apply.command import resolved, run
from flatnet.apply.iptables import (
    INSTANCE_PREFIX,
    Existing,
    chains_text,
    changed,
    edits,
    parsed,
)
from flatnet.exceptions import HostSetupError
from flatnet.state import AddressSet, Chain, Changes, Failure, Table, joined

_COMMANDS = {4: "iptables", 6: "ip6tables"}
_WAIT_SECONDS = "10"


def apply_firewall(
    tables: tuple[Table, ...],
    address_sets: tuple[AddressSet, ...],
    *,
    top_regex: str = "",
) -> Changes:
    """Make everything of ours in iptables and ipset equal the plan.

    :param top_regex: foreign rules at the top of a built-in chain that
        match stay above our jump
    """
    try:
        top = re.compile(top_regex) if top_regex else None
    except re.error as error:
        text = f"iptables_top_regex {top_regex!r}: {error}"
        return Changes(failures=(Failure("firewall", text, _all(tables)),))
    try:
        existing = ipset.read_sets()
    except HostSetupError as error:
        existing = {}
        named = _naming(tables, [each.name for each in address_sets])
        missing = (Failure("ipset", str(error), named),)
        return joined(
            Changes(failures=missing * bool(address_sets)),
            *(_apply_family(family, tables, top) for family in (4, 6)),
        )
    made, errors = ipset.write_sets(address_sets, existing)
    failures = (
        Failure(f"ipset {name}", text, _naming(tables, [name]))
        for name, text in sorted(errors.items())
    )
    written = Changes(made, tuple(failures))
    rules = [_apply_family(family, tables, top) for family in (4, 6)]
    made, errors = ipset.remove_sets(address_sets, existing)
    failures = (
        Failure(f"ipset {name}", text) for name, text in sorted(errors.items())
    )
    return joined(written, *rules, Changes(made, tuple(failures)))


def _apply_family(
    family: int, tables: tuple[Table, ...], top: re.Pattern[str] | None
) -> Changes:
    command = _COMMANDS[family]
    wanted = {each.name: each for each in tables if each.family == family}
    try:
        outcome = run(f"{command}-save")
        if outcome.status:
            raise HostSetupError(f"{command}-save: {outcome.error}")
        existing = parsed(outcome.output)
        ours = {name for name, each in existing.items() if each.holds_ours}
        parts = [
            _apply_table(
                existing.get(name, Existing()),
                wanted.get(name, Table(family, name)),
                top,
            )
            for name in sorted(wanted.keys() | ours)
        ]
        return joined(*parts, _other_backend(family))
    except HostSetupError as error:
        if not wanted:
            return Changes()
        failure = Failure("firewall", str(error), _all(wanted.values()))
        return Changes(failures=(failure,))


def _apply_table(
    existing: Existing, wanted: Table, top: re.Pattern[str] | None
) -> Changes:
    shut: dict[str, str] = {}
    target = wanted
    plan = edits(existing, target, top)
    if plan.text and _restore(wanted.family, plan.text):
        candidates = tuple(
            chain
            for chain in changed(existing, target)
            if chain.name.startswith(INSTANCE_PREFIX)
        )
        shut = _refused(target, candidates)
        target = _closed(wanted, shut)
        plan = edits(existing, target, top)
        error = _restore(wanted.family, plan.text) if plan.text else ""
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


def _refused(table: Table, chains: tuple[Chain, ...]) -> dict[str, str]:
    """Write the chains in halves; return the errors of those refused."""
    if not chains:
        return {}
    error = _restore(table.family, chains_text(table.name, chains))
    if not error:
        return {}
    if len(chains) == 1:
        return {chains[0].name: error}
    half = len(chains) // 2
    return {
        **_refused(table, chains[:half]),
        **_refused(table, chains[half:]),
    }


def _closed(table: Table, shut: Iterable[str]) -> Table:
    """Return the table with nothing but a DROP in the chains named."""
    chains = {
        chain.name: replace(chain, rules=("-j DROP",))
        if chain.name in shut
        else chain
        for chain in table.chains
    }
    return replace(table, chains=tuple(chains.values()))


def _restore(family: int, text: str) -> str:
    """Run one transaction; return the error, or nothing."""
    command = f"{_COMMANDS[family]}-restore"
    outcome = run(command, "--noflush", "--wait", _WAIT_SECONDS, text=text)
    return outcome.error or "refused" if outcome.status else ""


def _failed(table: Table, error: str) -> Changes:
    subject = f"firewall {_COMMANDS[table.family]} {table.name}"
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


def _other_backend(family: int) -> Changes:
    """Report chains of ours in the iptables that is not in use."""
    command = _COMMANDS[family]
    other = f"{command}-legacy"
    if "legacy" in os.path.basename(resolved(f"{command}-restore")):
        other = f"{command}-nft"
    elif not _has_legacy_tables(family):
        return Changes()
    if not resolved(f"{other}-save"):
        return Changes()
    if not any(
        each.holds_ours
        for each in parsed(run(f"{other}-save").output).values()
    ):
        return Changes()
    text = (
        f"chains of ours are in {other} too, and {command} is another "
        f"backend now: remove what {other}-save shows of flatnet"
    )
    return Changes(failures=(Failure("firewall", text),))


def _has_legacy_tables(family: int) -> bool:
    path = {4: "/proc/net/ip_tables_names", 6: "/proc/net/ip6_tables_names"}
    try:
        with open(path[family], encoding="ascii") as names:
            return bool(names.read())
    except OSError:
        return False
