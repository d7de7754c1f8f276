"""Bring iptables, ip6tables and the address sets to a filter.

Goals, and how each is met:

* Twice is once: what equals the plan, by text (see `iptables`) and members
  (see `ipset`), is not written, and a table without a difference gets no
  transaction.
* No moment without the rules: each table changes in one transaction.  Sets
  are there before the rules that name them and go after them.
* Nor one between two plans that lets in what neither does: who is let in by
  a set leaves it before rules change and comes to it after (see `ipset`).
* Fail closed: if a table's transaction is refused, the chains of groups are
  tried in halves until the bad ones are known; those let in nothing and
  their members are reported, the rest is applied as planned (see `open_groups`
  for those that a set would let in others by).
* Nobody is blamed for what failed once: it is tried a second time first, and
  a lock that somebody holds is waited for (see `restore`).
* Unreadable is not empty, nor is what is written in force: see `saved`.
* Whatever `iptables-restore` is, nft or legacy, is used; leftovers of ours
  in the other one are reported, because both would judge every packet.
* Who less may reach than before is told, for connections that exist.

Given up: the tables are not changed together, and if a table is refused
for another reason than a group's chain it stays as it was; then that is
reported once, of the host, and who is shut is for `in_force` to say.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from flatnet.apply.filter.iptables import ipset
from flatnet.apply.filter.iptables.compared_tables import Compared
from flatnet.apply.filter.iptables.firewall_failures import (
    of_chains,
    of_host,
    of_sets,
)
from flatnet.apply.filter.iptables.ipset_cache import Sets
from flatnet.apply.filter.iptables.ipset_messages import FoundSet
from flatnet.apply.filter.iptables.iptables import (
    Edits,
    Existing,
    edits,
    strays,
)
from flatnet.apply.filter.iptables.kernel_tables import delete_rules
from flatnet.apply.filter.iptables.open_groups import shutting, unclosed
from flatnet.apply.filter.iptables.placement import Placement, placement
from flatnet.apply.filter.iptables.restore import (
    LockHeldError,
    candidates,
    refused_chains,
    restore,
)
from flatnet.apply.filter.iptables.revoked_access import (
    by_chains,
    by_sets,
    by_waking,
)
from flatnet.apply.filter.iptables.saved import (
    Readable,
    Saved,
    known_tables,
    other_backend,
    readable,
    tables_key,
)
from flatnet.apply.filter.iptables.tables import Rules, Table, emptied
from flatnet.apply.filter.iptables.written_tables import presumed
from flatnet.apply.filter.nft_proof import generation
from flatnet.apply.worker_cache import WorkerCache
from flatnet.exceptions import HostSetupError
from flatnet.state.changes import Changes, Failure, joined
from flatnet.state.effects import Effect, Subject, Surface, Verb
from flatnet.state.filtering import Filter


def apply_firewall(
    wanted: Filter,
    known: WorkerCache,
    *,
    top_regex: str = "",
    bottom_regex: str = "",
    between: Callable[[], None] | None = None,
) -> Changes:
    """Make everything of ours in iptables and ipset equal the plan.

    :param known: what is remembered of the last time
    :param between: called before sets let in anybody new, if they can be had
    :param top_regex: foreign rules of built-in chains that match stay above
        our jump
    :param bottom_regex: those that match stay below in any case
    """
    try:
        top = placement(top_regex, bottom_regex)
    except HostSetupError as error:
        return of_host(Surface.FIREWALL, error)
    # Read first: who changes groups waits in no set for longer than it takes
    # to write rules.
    planned = known.optional.usable(known.rendering.rules(wanted))
    known.legacy.look()
    found = {
        family: readable(family, known.proven, planned.names(family))
        for family in (4, 6)
    }
    task = _Task(planned, wanted, top, found, known, between)
    try:
        existing = known.sets.read()
    except HostSetupError as error:
        missing = of_host(Surface.IPSET, error)
        done = _apply_families(task)
        return joined(*(missing,) * bool(planned.sets), done)
    return _apply_with_sets(task, existing, known.sets)


def _apply_with_sets(
    task: "_Task", existing: Mapping[str, FoundSet], known: Sets
) -> Changes:
    """Rules in between what sets lose and what they come to have."""
    sets, wanted = task.planned.sets, task.wanted
    edits, unusable = ipset.differences(known.differing(sets), existing)
    known.forget()
    closed, errors = ipset.close_sets(edits, known.asking)
    # Of those that are made now nothing was to go.
    kept = existing.keys() & {*errors, *unusable}
    odd = unclosed(kept, sets, wanted)
    done = _apply_families(replace(task, planned=shutting(task.planned, odd)))
    if task.between:
        task.between()
    opened, more = ipset.open_sets(edits, known.asking)
    refused = {**more, **errors, **unusable}
    written = Changes(
        _done(Verb.WRITTEN, closed | opened),
        of_sets(refused, edits, sets, wanted, odd),
        judged=by_sets(edits, sets, wanted),
    )
    away = ipset.remove_sets(sets, existing, known.asking, known.needed)
    removed = Changes(
        _done(Verb.REMOVED, away.gone),
        tuple(
            Failure(Subject(Surface.IPSET, n), e)
            for n, e in sorted(away.errors.items())
        ),
    )
    known.note(existing, edits, away=away, refused=refused)
    return joined(written, done, removed)


@dataclass(frozen=True)
class _Task:
    """What is to be in force, and what it takes to get there."""

    planned: Rules
    wanted: Filter
    top: Placement
    found: Mapping[int, Readable]
    known: WorkerCache
    between: Callable[[], None] | None


def _apply_families(task: _Task) -> Changes:
    """Both families, which share a lock: who waited for it once, waited."""
    done: list[Changes] = []
    for family in (4, 6):
        try:
            done.append(_apply_family(family, task))
        except LockHeldError as error:
            return joined(*done, of_host(Surface.FIREWALL, error))
    return joined(*done)


def _apply_family(family: int, task: _Task) -> Changes:
    mine = [each for each in task.planned.tables if each.family == family]
    tables = {each.name: each for each in mine}
    saved = task.found[family].saved
    try:
        if task.found[family].error:
            raise HostSetupError(task.found[family].error)
        existing = saved.tables
        ours = {name for name, each in existing.items() if each.holds_ours}
        names = sorted(tables.keys() | ours)
        parts = [
            _apply_table(
                existing.get(name, Existing()),
                tables.get(name, Table(family, name)),
                task,
            )
            for name in names
        ]
        told = {saved.warnings[n]: n for n in names if n in saved.warnings}
        return joined(
            *parts,
            Changes(
                warnings=(*told, *strays(existing, mine, task.top)),
                judged=by_waking(saved.woken, task.wanted),
            ),
            other_backend(family),
        )
    except LockHeldError:
        raise
    except HostSetupError as error:
        if not tables:
            return Changes()
        return of_host(Surface.FIREWALL, error)


def _apply_table(existing: Existing, table: Table, task: _Task) -> Changes:
    settled, found = task.known.settled, (existing, table, task.top)
    lacking = task.known.optional.lacking(table)
    if lacking or settled.has(found):
        return lacking or Changes()
    proven = task.known.proven
    count = proven.at((tables_key(table.family),))
    there, wanted = settled.rest(found)
    rest = task.known.words.understood(there, wanted), wanted
    plan = edits(*rest, task.top)
    if plan == Edits():
        settled.note(found)
        return Changes()
    plan, shut, error = _written(found, rest, plan, task)
    if error:
        return task.known.optional.refused(table, error)
    task.known.legacy.wrote(table)
    # Else it may have taken away what somebody had put there meanwhile.
    alone = count is not None and generation(proven.asking) == count + 1
    return Changes(
        plan.made,
        of_chains(table, shut, task.wanted),
        judged=by_chains(*rest, task.wanted, task.top, alone=alone),
    )


def _written(
    found: Compared, rest: tuple[Existing, Table], plan: Edits, task: _Task
) -> tuple[Edits, dict[str, str], str]:
    """Return the changes made, the errors of chains, and that of the rest."""
    read, table, _ = found
    known, shut = task.known, dict[str, str]()
    first, key = plan, tables_key(table.family)
    count = known.proven.at((key,))
    after = presumed(known.proven.last(key), read, rest, plan)
    write = partial(_write, table, first, known, after)
    error = known.words.writing(rest, table, known.proven, write)
    if after and not error:
        known.settled.note((after.tables[table.name], table, task.top))
    met = count is not None and generation(known.proven.asking) != count + 1
    if error or met:
        # Once is no reason to blame anybody; and what it was to change may
        # have changed since it was read.
        existing = _read_again(table, known)
        plan = edits(existing, table, task.top)
        plan = replace(plan, made=plan.made if error else first.made)
        error = _write(table, plan, known)
    if error:
        chains = candidates(existing, table)
        shut = refused_chains(table, chains, known.restorers)
        existing = _read_again(table, known)
        plan = edits(existing, emptied(table, shut), task.top)
        error = _write(table, plan, known)
    return plan, shut, error


def _read_again(table: Table, known: WorkerCache) -> Existing:
    """Return a table as it is by now, in the words of its plan."""
    planned = frozenset((table.name,))
    tables = known_tables(table.family, known.proven, planned).tables
    return known.words.understood(tables.get(table.name, Existing()), table)


def _write(
    table: Table, plan: Edits, known: WorkerCache, after: Saved | None = None
) -> str:
    """Make the changes to a table; return the error, or nothing.

    What else is known of nftables is so after a transaction of ours; what
    iptables has made of it is read again, at once or soon (`written_tables`).

    :param after: what the family's tables are then, until they are read
    :raises HostSetupError: somebody's lock, or not even iptables can be run
    """
    if plan == Edits():
        return ""
    becomes, asking = {tables_key(table.family): after}, known.proven.asking
    (known.presumed if after else known.unread).add(table.family)
    with known.proven.writing(becomes):
        delete_rules(asking, table.family, table.name, plan.before)
        error = ""
        if plan.text:
            error = restore(table.family, plan.text, known.restorers)
        if error:
            # What raised the count meanwhile was somebody else's.
            known.proven.forget()
        else:
            delete_rules(asking, table.family, table.name, plan.after)
    return error


def _done(verb: Verb, sets: Iterable[str]) -> tuple[Effect, ...]:
    return tuple(Effect(Surface.IPSET, verb, name) for name in sorted(sets))
