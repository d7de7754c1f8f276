"""What the appliers did to a host, and what they could not do.

All is frozen, so that it can be compared, and carried to the daemon.
"""

from dataclasses import dataclass

from flatnet.state.effects import Effect, Subject
from flatnet.state.taken import Declined, Taken


@dataclass(frozen=True, slots=True)
class Failure:
    """A part of the plan that could not be applied.

    `instances` are the uuids that suffer.
    """

    subject: Subject
    message: str
    instances: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.subject}: {self.message}"


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
    less may reach than before, `fights` what others undo again and again.
    """

    made: tuple[Effect, ...] = ()
    failures: tuple[Failure, ...] = ()
    warnings: tuple[str, ...] = ()
    ports: tuple[FoundPort, ...] = ()
    declined: tuple[Declined, ...] = ()
    reloaded: tuple[str, ...] = ()
    taken: tuple[Taken, ...] = ()
    judged: frozenset[str] = frozenset()
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
    )
