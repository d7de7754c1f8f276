"""Address sets of source groups, member by member.

A set is never replaced as a whole: members that came are added and those
that went are deleted, so that rules which name it see it change in place
and a change of one member costs one line, however many there are.
"""

import ipaddress
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from flatnet.apply.command import run
from flatnet.exceptions import HostSetupError
from flatnet.state import AddressSet

PREFIX = "flatnet-"
_NAME = re.compile(r"flatnet-[A-Za-z0-9-]{1,23}")
_INET = {4: "inet", 6: "inet6"}
# Memory is taken by members, not by this.
_MAXIMUM = 1048576
# Rules that named a set are torn down by the kernel after the command that
# removed them returned.
_PATIENCE = 2.0
_PAUSE = 0.02


@dataclass(frozen=True)
class ExistingSet:
    """A set of ours in the kernel; `kind` is its type and family."""

    kind: str
    members: frozenset[str]


def read_sets() -> Mapping[str, ExistingSet]:
    """Return the sets of ours, by name.

    :raises HostSetupError: ipset is missing or fails
    """
    # Foreign sets may be huge; their names are not.
    names = _checked("list", "-n").split()
    if not any(name.startswith(PREFIX) for name in names):
        return {}
    kinds: dict[str, str] = {}
    members: dict[str, set[str]] = {}
    for line in _checked("save").splitlines():
        words = line.split()
        if len(words) < 3 or not words[1].startswith(PREFIX):
            continue
        if words[0] == "create":
            kinds[words[1]] = " ".join(words[2:5])
            members[words[1]] = set()
        elif words[0] == "add":
            members[words[1]].add(_canonical(words[2]))
    return {
        name: ExistingSet(kind, frozenset(members[name]))
        for name, kind in kinds.items()
    }


def write_sets(
    wanted: tuple[AddressSet, ...], existing: Mapping[str, ExistingSet]
) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """Make or correct the sets; return changes made, and errors by set."""
    made: list[str] = []
    errors: dict[str, str] = {}
    lines: dict[str, list[str]] = {}
    for each in wanted:
        try:
            lines[each.name] = _lines(each, existing.get(each.name))
        except ValueError as unusable:
            errors[each.name] = str(unusable)
    every = [line for mine in lines.values() for line in mine]
    if not every:
        return (), errors
    together = _restore(every)
    for name, mine in lines.items():
        # One bad set must not keep the others from their members.
        error = _restore(mine) if together and mine else ""
        if error:
            errors[name] = error
        elif mine:
            made.append(f"ipset: wrote set {name}")
    return tuple(made), errors


def remove_sets(
    wanted: tuple[AddressSet, ...], existing: Mapping[str, ExistingSet]
) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """Remove what is ours and not planned; return as for `write_sets`."""
    made: list[str] = []
    errors: dict[str, str] = {}
    planned = {each.name for each in wanted}
    deadline = time.monotonic() + _PATIENCE
    for name in sorted(existing.keys() - planned):
        outcome = run("ipset", "destroy", name)
        while "in use" in outcome.error and time.monotonic() < deadline:
            time.sleep(_PAUSE)
            outcome = run("ipset", "destroy", name)
        if outcome.status:
            errors[name] = outcome.error
        else:
            made.append(f"ipset: removed set {name}")
    return tuple(made), errors


def is_within(existing: ExistingSet, wanted: AddressSet | None) -> bool:
    """Whether a set holds nothing but what is planned for it."""
    if wanted is None or existing.kind != _kind(wanted):
        return False
    try:
        members = {_canonical(member) for member in wanted.members}
    except ValueError:
        return False
    return existing.members <= members


def _kind(wanted: AddressSet) -> str:
    return f"hash:net family {_INET[wanted.family]}"


def _lines(wanted: AddressSet, existing: ExistingSet | None) -> list[str]:
    """Return the input for `ipset restore` that corrects one set.

    :raises ValueError: what is planned, or what is there, cannot be used
    """
    name, family = wanted.name, wanted.family
    if not _NAME.fullmatch(name) or family not in _INET:
        raise ValueError(f"{name!r} is no set of ours")
    members = {_canonical(member) for member in wanted.members}
    kind = _kind(wanted)
    lines = []
    if existing is None:
        existing = ExistingSet(kind, frozenset())
        lines = [f"create {name} {kind} maxelem {_MAXIMUM}"]
    if existing.kind != kind:
        raise ValueError(
            f"a set of another type has this name ({existing.kind}): "
            f"remove the rules that name it, then: ipset destroy {name}"
        )
    gone = sorted(existing.members - members)
    new = sorted(members - existing.members)
    return [
        *lines,
        *(f"del {name} {member} -exist" for member in gone),
        *(f"add {name} {member} -exist" for member in new),
    ]


def _canonical(member: str) -> str:
    network = ipaddress.ip_network(member)
    if network.prefixlen == network.max_prefixlen:
        return str(network.network_address)
    return str(network)


def _restore(lines: list[str]) -> str:
    """Return the error, or nothing."""
    outcome = run("ipset", "restore", text="\n".join((*lines, "")))
    return outcome.error or "failed" if outcome.status else ""


def _checked(*arguments: str) -> str:
    outcome = run("ipset", *arguments)
    if outcome.status:
        raise HostSetupError(f"ipset {arguments[0]}: {outcome.error}")
    return outcome.output
