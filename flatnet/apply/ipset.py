"""Address sets, member by member.

Goals, and how each is met:

* What differs is written, and no more.  A set is never replaced as a whole,
  so that rules which name it see it change in place, and a change of one
  member costs one line, however many there are.
* Nothing is open on the way: who leaves is let in nowhere before somebody
  else is let in, and is the last to be taken from the set that shuts him.
"""

import ipaddress
import time
from collections.abc import Mapping
from dataclasses import dataclass

from flatnet.apply.command import run
from flatnet.apply.filter.tables import AddressSet
from flatnet.exceptions import HostSetupError

PREFIX = "flatnet-"
_INET = {4: "inet", 6: "inet6"}
# Memory is taken by members, not by the maximum; an empty one is small.
_SIZES = "hashsize 64 maxelem 1048576"
# Rules that named a set are torn down by the kernel after the command that
# removed them returned.
_PATIENCE = 2.0
_PAUSE = 0.02


Errors = Mapping[str, str]


@dataclass(frozen=True)
class ExistingSet:
    """A set of ours in the kernel; `kind` is its type and family."""

    kind: str
    members: frozenset[str]

    def is_of(self, family: int) -> bool:
        """Whether it is of the kind that we make, and of a family."""
        return self.kind == _kind(family)


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
) -> tuple[tuple[str, ...], Errors]:
    """Make or correct the sets; return changes made, and errors by set.

    Members are added in the order of the sets, and deleted in the other.
    """
    errors: dict[str, str] = {}
    edits: dict[str, _Edits] = {}
    for each in wanted:
        try:
            edits[each.name] = _edits(each, existing.get(each.name))
        except ValueError as unusable:
            errors[each.name] = str(unusable)
    lines = _ordered(list(edits.values()))
    if not lines:
        return (), errors
    if _restore(lines):
        # One bad set must not keep the others from their members.
        for name, mine in edits.items():
            if error := _restore(_ordered([mine])):
                errors[name] = error
    return tuple(
        f"ipset: wrote set {name}"
        for name, mine in edits.items()
        if name not in errors and _ordered([mine])
    ), errors


@dataclass(frozen=True)
class _Edits:
    """Lines for `ipset restore` that correct one set."""

    wanted: AddressSet
    created: tuple[str, ...]
    deleted: tuple[str, ...]
    added: tuple[str, ...]


def _ordered(edits: list[_Edits]) -> list[str]:
    closing = [each for each in edits if each.wanted.closes]
    others = [each for each in edits if not each.wanted.closes]
    phases = (
        *(each.created for each in edits),
        *(each.deleted for each in reversed(others)),
        *(each.added for each in (*closing, *others)),
        *(each.deleted for each in closing),
    )
    return [line for phase in phases for line in phase]


def remove_sets(
    wanted: tuple[AddressSet, ...], existing: Mapping[str, ExistingSet]
) -> tuple[tuple[str, ...], Errors]:
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


def _edits(wanted: AddressSet, existing: ExistingSet | None) -> _Edits:
    """Return what corrects one set.

    :raises ValueError: what is there cannot be used
    """
    name = wanted.name
    kind = _kind(wanted.family)
    created: tuple[str, ...] = ()
    if existing is None:
        existing = ExistingSet(kind, frozenset())
        created = (f"create {name} {kind} {_SIZES}",)
    if existing.kind != kind:
        raise ValueError(
            f"a set of another type has this name ({existing.kind}): "
            f"remove the rules that name it, then: ipset destroy {name}"
        )
    gone = sorted(existing.members - wanted.members)
    new = sorted(wanted.members - existing.members)
    return _Edits(
        wanted,
        created,
        tuple(f"del {name} {member} -exist" for member in gone),
        tuple(f"add {name} {member} -exist" for member in new),
    )


def _kind(family: int) -> str:
    return f"hash:net family {_INET[family]}"


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
