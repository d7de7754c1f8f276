"""What the appliers did to a host, and what they could not do.

All is frozen, so that it can be compared, and carried to the daemon.
"""

from dataclasses import dataclass

from flatnet.state.effects import Effect, Subject
from flatnet.state.taken import Declined, Taken

# The key of what is said once for a host.
HOST = "host"


def guest_key(interface_uuid: str) -> str:
    """Return the key of a guest's interface."""
    return f"guest:{interface_uuid}"


def group_key(number: int) -> str:
    """Return the key of a security group."""
    return f"group:{number}"


def network_key(number: int) -> str:
    """Return the key of a network."""
    return f"network:{number}"


@dataclass(frozen=True, slots=True)
class Failure:
    """A part of the plan that could not be applied.

    `instances` are the uuids that suffer.  `key` is `host` where that is
    everybody here, and nobody is named; or `group:<id>` where the rules of a
    group are not in force, which then lets nothing in to the instances; or
    `network:<id>` where a bridge or its DHCP server is not as planned, which
    those on it lack; or `guest:<uuid>` where one interface lacks something
    that its bridge has; or empty.
    """

    subject: Subject
    message: str
    instances: tuple[str, ...] = ()
    key: str = ""

    def __str__(self) -> str:
        return f"{self.subject}: {self.message}"

    @property
    def is_of_host(self) -> bool:
        """Whether everybody here suffers."""
        return self.key == HOST

    @property
    def is_of_group(self) -> bool:
        """Whether a group lets nothing in, which opens nobody."""
        return self.key.startswith("group:")

    @property
    def is_of_network(self) -> bool:
        """Whether those of a network lack its bridge or its DHCP server."""
        return self.key.startswith("network:")

    @property
    def about(self) -> tuple[Subject, str, tuple[str, ...]]:
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

    `what` names it (`port tap1`, `firewall`), `who` did it last, as far as the
    kernel says; `since` is in seconds since 1970, `times` how often it was.
    """

    what: str
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
