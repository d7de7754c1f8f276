"""Whose rules are in force in the kernel, asked when a step has failed.

Goals, and how each is met:

* Nobody pays for another's failure, nor for a moment's.  A step that failed
  may have changed all, a part or nothing; so the kernel is read again, and
  only who could be reached by more than is planned counts as open.  That
  less is let in is no reason to let in nothing.
* Fail closed.  What cannot be read is not in force.
* Rules are never parsed.  What stands on the way to an instance must be
  planned rules alone, which their marks tell of each by itself (see
  `marks`) and their words confirm (see `rule_comparison`), and must end as
  planned; so must the sets that it is a member of.
"""

import contextlib
from collections.abc import Iterable, Mapping

from flatnet.apply.filter.guard.in_force import unguarded
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.filter.iptables import ipset
from flatnet.apply.filter.iptables.groupcast_tree import GROUPCAST
from flatnet.apply.filter.iptables.ipset_messages import FoundSet
from flatnet.apply.filter.iptables.iptables import Existing, leads
from flatnet.apply.filter.iptables.isolation import (
    LOCAL,
    filtered_set,
    open_set,
)
from flatnet.apply.filter.iptables.marks import marked, recognised
from flatnet.apply.filter.iptables.placement import Placement, placement
from flatnet.apply.filter.iptables.profiles import (
    ROOT,
    TREE_PREFIX,
    of_family,
    tree_sets,
)
from flatnet.apply.filter.iptables.rendering import rules
from flatnet.apply.filter.iptables.rule_comparison import RuleComparison
from flatnet.apply.filter.iptables.saved import read_kernel, read_tables
from flatnet.apply.filter.iptables.tables import Rules, Table
from flatnet.apply.link.sysctl import BRIDGE_NETFILTER, DIRECTORY
from flatnet.apply.worker_cache import WorkerCache
from flatnet.exceptions import HostSetupError
from flatnet.state.filtering import Filter, Guest
from flatnet.state.plan import Plan


def open_instances(
    plan: Plan,
    session: Session,
    known: WorkerCache,
    *,
    top_regex: str = "",
    bottom_regex: str = "",
) -> frozenset[str]:
    """Return the uuids of the instances whose own rules are not in force.

    :param known: what is remembered of rules
    :param top_regex, bottom_regex: as for the firewall
    """
    everyone = frozenset(plan.instances)
    if not all(_is_set(name, value) for name, value in plan.sysctls):
        return everyone
    try:
        place = placement(top_regex, bottom_regex)
    except HostSetupError:
        place = Placement()
    found = _unfiltered(plan.filter, place, known)
    return (found & everyone) | unguarded(plan, session, known.guarding)


def _is_set(name: str, value: str) -> bool:
    """Whether the filter sees packets; other settings open nothing."""
    if not name.startswith(BRIDGE_NETFILTER):
        return True
    try:
        file = DIRECTORY.joinpath(*name.split("."))
        return file.read_text().strip() == value
    except OSError:
        return False


def _unfiltered(
    wanted: Filter, place: Placement, remembered: WorkerCache
) -> frozenset[str]:
    filtered = [guest for guest in wanted.guests if guest.filtered]
    if not filtered:
        return frozenset()
    planned, words = rules(wanted), remembered.words
    try:
        sets = ipset.read_sets(remembered.sets.asking)
    except HostSetupError:
        return frozenset(guest.instance_uuid for guest in filtered)
    found: set[str] = set()
    for family in (4, 6):
        (table,) = (
            each
            for each in planned.tables
            if (each.family, each.name) == (family, "filter")
        )
        there = _existing(family).get("filter", Existing())
        way = _Way(words.understood(there, table), table, place, words)
        known = _Sets(sets, planned, wanted, family)
        found |= {
            guest.instance_uuid
            for guest in filtered
            if not (way.is_filtered(guest) and known.shut(guest))
        }
    return frozenset(found)


def _existing(family: int) -> Mapping[str, Existing]:
    with contextlib.suppress(HostSetupError):
        return read_tables(family).tables
    # Rules are in force without the program that made them.
    with contextlib.suppress(HostSetupError):
        return read_kernel(family)
    return {}


class _Sets:
    """The sets of one family: who is in one that he should not be in."""

    def __init__(
        self,
        existing: Mapping[str, FoundSet],
        planned: Rules,
        wanted: Filter,
        family: int,
    ) -> None:
        self._family = family
        there = {
            name: each.members
            for name, each in existing.items()
            if each.family == family
        }
        mine = [each for each in planned.sets if each.family == family]
        known = {each.name: each.members for each in mine}
        self._shut = there.get(filtered_set(family), frozenset())
        self._let_in: set[bytes] = set()
        # Those of a former plan may lead somewhere too.
        for name, members in there.items():
            if name.startswith((tree_sets(family), open_set(family))):
                self._let_in |= members - known.get(name, frozenset())
        wide = {
            each.source
            for each in mine
            if not there.get(each.name, frozenset()) <= known[each.name]
        }
        self._wide_groups = {
            group.id
            for group in wanted.groups
            if any(each.group in wide - {None} for each in group.openings)
        }

    def shut(self, guest: Guest) -> bool:
        """Whether a guest is filtered, and led nowhere but as planned."""
        mine = ipset.all_packed(of_family(guest.addresses, self._family))
        return (
            mine <= self._shut
            and self._let_in.isdisjoint(mine)
            and self._wide_groups.isdisjoint(guest.groups)
        )


class _Way:
    """The way to the rules of an instance in a table of the kernel."""

    def __init__(
        self,
        existing: Existing,
        table: Table,
        place: Placement,
        words: RuleComparison,
    ) -> None:
        self._existing, self._table, self._words = existing, table, words
        self._chains = {chain.name: chain for chain in table.chains}
        self._bridges = self._led(table, place)
        # Rules of a former plan lead on by sets, which are looked at.
        tree = [
            marks
            for name, marks in existing.chains.items()
            if name.startswith((ROOT, TREE_PREFIX))
        ]
        ends = {LOCAL, *self._chains.keys() & {GROUPCAST}}
        self._is_sound = all(map(self._closes, ends)) and not any(
            None in marks for marks in tree
        )
        self._odd_groups = {
            chain.group
            for chain in table.chains
            if chain.group is not None
            and not all(self._recognised(chain.name))
        }

    def is_filtered(self, guest: Guest) -> bool:
        """Whether no chain lets in to a guest more than is planned."""
        return (
            self._is_sound
            and guest.bridge in self._bridges
            and self._odd_groups.isdisjoint(guest.groups)
        )

    def _led(self, table: Table, place: Placement) -> set[str]:
        """The bridges whose traffic is led to the filter."""
        found: set[str] | None = None
        for jump in table.jumps:
            if jump.builtin not in ("FORWARD", "OUTPUT"):
                continue
            led: set[str] = set()
            if leads(self._existing, jump, place):
                led = set(self._leading(jump.chain))
            found = led if found is None else found & led
        return found or set()

    def _leading(self, name: str) -> Iterable[str]:
        """The bridges that a chain leads on from, above what is odd."""
        for rule in self._recognised(name):
            if rule is None:
                return
            words = rule.split()
            if words[::2] == ["-o", "-j"] and words[-1] == LOCAL:
                yield words[1]

    def _recognised(self, name: str) -> tuple[str | None, ...]:
        """The planned rules of a chain; none for what is another rule."""
        found = self._existing.chains.get(name, [])
        rules = recognised(found, self._chains[name])
        shown = self._existing.texts.get(name)
        if shown is None:
            return rules
        return tuple(
            rule if not rule or self._is_said(rule, mark, each) else None
            for rule, mark, each in zip(rules, found, shown, strict=True)
        )

    def _is_said(self, rule: str, mark: str | None, shown: str) -> bool:
        line = marked(rule, mark or "")
        return self._words.is_said(self._table, line, shown)

    def _closes(self, name: str) -> bool:
        """Whether a chain has planned rules alone, and ends as planned."""
        found = self._recognised(name) if name in self._chains else ()
        return all(found) and found[-1:] == self._chains[name].rules[-1:]
