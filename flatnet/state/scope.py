"""What an ask for a pass is about, and what a read of rows covered."""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Scope:
    """Whose rows may have changed.

    :param everything: anybody's
    :param whole_host: nobody's, but what others did to the host: all of it is
        looked at
    :param instances: uuids of instances: theirs, wherever they are
    :param groups: ids of groups: their rules
    :param members: ids of groups: who is in them
    :param renewed: uuids of instances that begin anew: what they declined is
        served again
    """

    everything: bool = False
    whole_host: bool = False
    instances: frozenset[str] = frozenset()
    groups: frozenset[int] = frozenset()
    members: frozenset[int] = frozenset()
    renewed: frozenset[str] = frozenset()

    def __or__(self, other: "Scope") -> "Scope":
        return Scope(
            self.everything or other.everything,
            self.whole_host or other.whole_host,
            self.instances | other.instances,
            self.groups | other.groups,
            self.members | other.members,
            self.renewed | other.renewed,
        )


NOTHING = Scope()
WHOLE_HOST = Scope(whole_host=True)
EVERYTHING = Scope(everything=True, whole_host=True)


def of_instance(uuid: str, *, renewed: bool = False) -> Scope:
    """Return the scope of one instance.

    :param renewed: whether it begins anew
    """
    mine = frozenset((uuid,))
    return Scope(instances=mine, renewed=mine if renewed else frozenset())


def of_hint(
    groups: Collection[int], instances: Collection[str] | None
) -> Scope:
    """Return the scope of a hint about groups.

    :param instances: whose membership it is, where that is all; nobody's
        where it is rules; none where nobody knows
    """
    changed = frozenset(groups)
    if instances:
        return Scope(instances=frozenset(instances))
    members = changed if instances is None else frozenset[int]()
    return Scope(groups=changed, members=members)


@dataclass(frozen=True)
class KnownGroups:
    """What is known of groups and of names, by id.

    `groups` are those of somebody here, `sources` those whose members are
    known, `named` the networks whose names are; `here` are the instances that
    were here and in one of the groups of a scope's `members`.
    """

    groups: frozenset[int] = frozenset()
    sources: frozenset[int] = frozenset()
    here: frozenset[str] = frozenset()
    named: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Covered:
    """Whose rows a read has all of: what is not among them is no more.

    `sources` are the groups all of whose members were read, `named` the
    networks all of whose names were.
    """

    everything: bool = False
    instances: frozenset[str] = frozenset()
    networks: frozenset[int] = frozenset()
    groups: frozenset[int] = frozenset()
    sources: frozenset[int] = frozenset()
    named: frozenset[int] = frozenset()
