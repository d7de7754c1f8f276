"""What the appliers did to a host, and what they could not do.

All is frozen, so that it can be compared, and carried to the daemon.
"""

from dataclasses import dataclass
from enum import StrEnum

from flatnet.state.effects import Effect, Subject
from flatnet.state.taken_addresses import Declined, Taken


class Kind(StrEnum):
    """What a failure may be about."""

    GROUP = "group"
    GUEST = "guest"
    HOST = "host"
    NETWORK = "network"


@dataclass(frozen=True, slots=True)
class PartKey:
    """What a failure is about; `of` is which of its kind, but of the host."""

    kind: Kind
    of: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.of}" if self.of else self.kind.value


# The key of what is said once for a host.
HOST = PartKey(Kind.HOST)


def guest_key(interface_uuid: str) -> PartKey:
    """Return the key of a guest's interface."""
    return PartKey(Kind.GUEST, interface_uuid)


def group_key(number: int) -> PartKey:
    """Return the key of a security group."""
    return PartKey(Kind.GROUP, str(number))


def network_key(number: int) -> PartKey:
    """Return the key of a network."""
    return PartKey(Kind.NETWORK, str(number))


@dataclass(frozen=True, slots=True)
class Failure:
    """A part of the plan that could not be applied.

    `instances` are the uuids that suffer.  `key` is the host where that is
    everybody here, and nobody is named; or a group whose rules are not in
    force, which then lets nothing in to the instances; or a network whose
    bridge or DHCP server is not as planned, which those on it lack; or a
    guest whose interface lacks something that its bridge has; or none.
    """

    subject: Subject
    message: str
    instances: tuple[str, ...] = ()
    key: PartKey | None = None

    def __str__(self) -> str:
        return f"{self.subject}: {self.message}"

    @property
    def is_of_host(self) -> bool:
        """Whether everybody here suffers."""
        return self.key == HOST

    @property
    def is_of_group(self) -> bool:
        """Whether a group lets nothing in, which opens nobody."""
        return self.key is not None and self.key.kind is Kind.GROUP

    @property
    def about(self) -> tuple[Subject, PartKey | None, tuple[str, ...]]:
        """What failed and for whom, whatever the message says this time.

        Who comes to a network that failed, or goes, is no news of it.
        """
        return self.subject, self.key, () if self.key else self.instances

    def concerns(self, instance_uuid: str) -> bool:
        """Whether an instance of this host suffers."""
        return self.is_of_host or instance_uuid in self.instances


@dataclass(frozen=True, slots=True)
class FoundPort:
    """What a pass made of a port: `found` as in `rows.Finding`.

    `carrier`: a guest is there; `reason`: one line where it is not up.
    """

    name: str
    found: str
    carrier: bool = False
    kind: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Fight:
    """Something of ours that others undo again and again.

    `who` did it last, as far as the kernel says; `since` is in seconds since
    1970, `times` how often it was.
    """

    what: Subject
    who: str
    since: int
    times: int


@dataclass(frozen=True)
class Changes:
    """What a pass did, in order, and what it could not do.

    `warnings` are lines about what it met, `ports` what became of the plan's
    and of those that are gone, `declined` the addresses that DHCP withholds,
    `reloaded` the bridges whose DHCP server has read its files now, `taken`
    the addresses of bridges that are somebody else's, `judged` those that
    less may reach than before, `uncut` those some of whose connections could
    not be cut, `fights` what others undo again and again.
    """

    made: tuple[Effect, ...] = ()
    failures: tuple[Failure, ...] = ()
    warnings: tuple[str, ...] = ()
    ports: tuple[FoundPort, ...] = ()
    declined: tuple[Declined, ...] = ()
    reloaded: tuple[str, ...] = ()
    taken: tuple[Taken, ...] = ()
    judged: frozenset[str] = frozenset()
    uncut: frozenset[str] = frozenset()
    fights: tuple[Fight, ...] = ()


def joined(*parts: Changes) -> Changes:
    """Return several changes as one, in order."""
    return Changes(
        made=tuple(each for part in parts for each in part.made),
        failures=tuple(each for part in parts for each in part.failures),
        warnings=tuple(line for part in parts for line in part.warnings),
        reloaded=tuple(each for part in parts for each in part.reloaded),
        taken=tuple(each for part in parts for each in part.taken),
        judged=frozenset(each for part in parts for each in part.judged),
        uncut=frozenset(each for part in parts for each in part.uncut),
    )
