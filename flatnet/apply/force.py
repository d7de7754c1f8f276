"""Whose rules are in force in the kernel, asked when a step has failed.

Goals, and how each is met:

* Nobody pays for another's failure, nor for a moment's.  A step that failed
  may have changed all, a part or nothing; so the kernel is read again, and
  only who lacks something that is his own counts as open.
* Fail closed.  What cannot be read is not in force.
* Rules are never parsed.  A chain of an instance is as planned, mark by mark.
  Of chains that are everybody's only the rules that lead to the instance must
  be there, which their marks tell of each by itself (see `marks`), in chains
  that have nothing foreign above them.

Given up: whether members are missing in a set of addresses.  Then less is let
in than planned, and that is no reason to let in nothing.
"""

import contextlib
import re
from collections.abc import Iterable, Mapping

from flatnet.apply import ipset
from flatnet.apply.force_guard import unguarded
from flatnet.apply.iptables import Existing, leads
from flatnet.apply.libnftables import Session
from flatnet.apply.marks import marks, recognised
from flatnet.apply.placement import Placement, placement
from flatnet.apply.saved import read_kernel, read_tables
from flatnet.apply.sysctl import BRIDGE_NETFILTER, DIRECTORY
from flatnet.exceptions import HostSetupError
from flatnet.state import AddressSet, Chain, Plan, Table

_TARGET = re.compile(r"(?:^| )-j (flatnet-\S+)$")
_DEVICE = re.compile(r"(?:^| )-o (\S+)")
_SET = re.compile(r"--match-set (\S+) ")


def open_instances(
    plan: Plan,
    session: Session,
    *,
    top_regex: str = "",
    bottom_regex: str = "",
) -> frozenset[str]:
    """Return the uuids of the instances whose own rules are not in force.

    :param top_regex, bottom_regex: as for the firewall
    """
    everyone = frozenset(
        port.instance_uuid for bridge in plan.bridges for port in bridge.ports
    )
    if not all(_is_set(name, value) for name, value in plan.sysctls):
        return everyone
    bridges: dict[str, set[str]] = {uuid: set() for uuid in everyone}
    for bridge in plan.bridges:
        for port in bridge.ports:
            bridges[port.instance_uuid].add(bridge.name)
    try:
        place = placement(top_regex, bottom_regex)
    except HostSetupError:
        place = Placement()
    found = _too_much(plan.tables, plan.address_sets)
    for family in (4, 6):
        wanted = [each for each in plan.tables if each.family == family]
        existing = _existing(family) if wanted else {}
        for table in wanted:
            there = existing.get(table.name, Existing())
            found |= _Way(there, table, place).unfiltered(bridges)
    return frozenset(found & everyone) | unguarded(plan, session)


def _is_set(name: str, value: str) -> bool:
    """Whether the filter sees packets; other settings open nothing."""
    if not name.startswith(BRIDGE_NETFILTER):
        return True
    try:
        file = DIRECTORY.joinpath(*name.split("."))
        return file.read_text().strip() == value
    except OSError:
        return False


def _existing(family: int) -> Mapping[str, Existing]:
    with contextlib.suppress(HostSetupError):
        return read_tables(family).tables
    # Rules are in force without the program that made them.
    with contextlib.suppress(HostSetupError):
        return read_kernel(family)
    return {}


def _too_much(
    tables: Iterable[Table], wanted: tuple[AddressSet, ...]
) -> set[str]:
    """The instances with a rule that lets in more than planned by its set."""
    naming: dict[str, set[str]] = {}
    for table in tables:
        for chain in table.chains:
            for name in {n for r in chain.rules for n in _SET.findall(r)}:
                naming.setdefault(name, set()).add(chain.instance_uuid or "")
    if not naming:
        return set()
    try:
        existing = ipset.read_sets()
    except HostSetupError:
        return set().union(*naming.values())
    planned = {each.name: each for each in wanted}
    return {
        uuid
        for name, uuids in naming.items()
        if name in existing
        and not ipset.is_within(existing[name], planned.get(name))
        for uuid in uuids
    }


class _Way:
    """The ways to the instances' chains in a table of the kernel."""

    def __init__(
        self, existing: Existing, wanted: Table, place: Placement
    ) -> None:
        self._existing = existing
        self._wanted = wanted
        self._chains = {chain.name: chain for chain in wanted.chains}
        self._edges: dict[str, list[tuple[str, str]]] = {}
        for chain in wanted.chains:
            for rule in chain.rules:
                if target := _TARGET.search(rule):
                    edges = self._edges.setdefault(target[1], [])
                    edges.append((chain.name, rule))
        self._jumped = {
            jump.chain: leads(existing, jump, place) for jump in wanted.jumps
        }
        self._known: dict[str, frozenset[str]] = {}
        self._led: dict[tuple[str, frozenset[str]], bool] = {}

    def unfiltered(self, bridges: Mapping[str, set[str]]) -> set[str]:
        """The instances that their chain, or the way to it, is missing for.

        :param bridges: the bridges that each uuid has a port on
        """
        return {
            chain.instance_uuid
            for chain in self._wanted.chains
            if chain.instance_uuid
            and not self._is_filtered(
                chain, frozenset(bridges.get(chain.instance_uuid, ()))
            )
        }

    def _is_filtered(self, chain: Chain, bridges: frozenset[str]) -> bool:
        found = self._existing.chains.get(chain.name)
        return found == marks(chain) and self._is_led(chain.name, bridges)

    def _is_led(self, name: str, bridges: frozenset[str]) -> bool:
        """Whether all that is planned to lead to a chain does."""
        key = (name, bridges)
        if key not in self._led:
            self._led[key] = self._jumped.get(name, True) and all(
                rule in self._recognised(parent)
                and self._is_led(parent, bridges)
                for parent, rule in self._edges.get(name, ())
                if _concerns(rule, bridges)
            )
        return self._led[key]

    def _recognised(self, name: str) -> frozenset[str]:
        if name not in self._known:
            found = self._existing.chains.get(name, [])
            self._known[name] = recognised(found, self._chains[name])
        return self._known[name]


def _concerns(rule: str, bridges: frozenset[str]) -> bool:
    """Whether a rule is for packets to one of the bridges."""
    device = _DEVICE.search(rule)
    return device is None or device[1] in bridges
