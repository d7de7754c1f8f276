"""What was done to a host, and what it was done to, as values.

An applier says what it did in these, and whoever decides by it, decides by
them.  The line that people read is made of them here, and nowhere read back.
"""

from dataclasses import dataclass
from enum import StrEnum


class Surface(StrEnum):
    """What is on a host, by kind; the value is what people call it."""

    BRIDGE = "bridge"
    CONNTRACK = "conntrack"
    DHCP = "dhcp"
    FILE = "file"
    FILTER = "filter of"
    FLOATING = "floating address"
    FIREWALL = "firewall"
    FORWARDING = "forwarding"
    GROUP = "group"
    GUARD = "guard"
    INSTANCE = "instance"
    IPSET = "ipset"
    PORT = "port"
    SYSCTL = "sysctl"
    UPLINK = "uplink"


class Verb(StrEnum):
    """What was done to it; the value is what people read."""

    ADDED = "added"
    CHANGED = "changed"
    CUT = "cut"
    DISABLED = "disabled"
    EMPTIED = "emptied"
    ENSLAVED = "enslaved"
    MADE = "made"
    RELEASED = "released"
    RELOADED = "reloaded"
    REMOVED = "removed"
    RESUMED = "resumed"
    SET = "set"
    SHUT = "shut"
    STARTED = "started"
    STOPPED = "stopped"
    UP = "up"
    WRITTEN = "written"


# Of a surface without a key all that there is of it is meant.
_WHOLE = {
    Surface.BRIDGE: "bridges",
    Surface.FLOATING: "floating addresses",
    Surface.PORT: "ports",
}


# A name among those of a surface, or the names that lead to what is within.
Key = str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """A thing on a host: `key` is which among those of its surface.

    Nearly always that is a name; of forwarding it is the device, of the
    guard a set or a table, of a firewall the names down to a part of it.
    Empty is all of the surface.
    """

    surface: Surface
    key: Key = ""

    @property
    def name(self) -> str:
        """Its key as text."""
        return self.key if isinstance(self.key, str) else " ".join(self.key)

    def __str__(self) -> str:
        if not self.key:
            return _WHOLE.get(self.surface, self.surface.value)
        return f"{self.surface} {self.name}"


@dataclass(frozen=True, slots=True)
class Effect:
    """Something that was done; `detail` is for people, or empty."""

    surface: Surface
    verb: Verb
    key: Key = ""
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.subject}: {self.verb} {self.detail}".rstrip()

    @property
    def subject(self) -> Subject:
        """What it was done to."""
        return Subject(self.surface, self.key)
