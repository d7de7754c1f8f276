"""What an import is to write, and what it says of each row of nova's."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, TypeAlias

# A network's uuid and an address in it.
Place: TypeAlias = tuple[str, str]
# A group's project and name.
GroupKey: TypeAlias = tuple[str | None, str]
TABLES = (
    *("networks", "virtual_interfaces", "fixed_ips", "floating_ips"),
    *("security_groups", "security_group_rules"),
    "security_group_instance_association",
)


@dataclass(frozen=True)
class Refusal:
    """A row that is not kept: of which table, which one it is, and why."""

    table: str
    reason: str


@dataclass(frozen=True)
class Report:
    """How many rows of each table are kept, how many of these are new.

    A row is new where flatnet did not have it before.
    """

    kept: Counter[str] = field(default_factory=Counter)
    new: Counter[str] = field(default_factory=Counter)
    refused: list[Refusal] = field(default_factory=list)

    def keep(self, table: str, *, is_new: bool) -> None:
        """Count a row that is kept."""
        self.kept[table] += 1
        self.new[table] += is_new

    def refuse(self, table: str, name: str, why: object) -> None:
        """Note a row that is not kept."""
        self.refused.append(Refusal(table, f"{name}: {why}"))


@dataclass(frozen=True)
class Draft:
    """Rows to write, which name others by what is known before these are.

    `taken` are rows of addresses by id that were released before; `floating`
    have their rows' ids where they have rows.
    """

    report: Report = field(default_factory=Report)
    networks: list[dict[str, Any]] = field(default_factory=list)
    interfaces: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    addresses: list[tuple[Place, str | None, dict[str, Any]]] = field(
        default_factory=list
    )
    taken: list[tuple[int, str | None, dict[str, Any]]] = field(
        default_factory=list
    )
    floating: list[tuple[int | None, Place | None, dict[str, Any]]] = field(
        default_factory=list
    )
    groups: list[dict[str, Any]] = field(default_factory=list)
    rules: list[tuple[GroupKey, GroupKey | None, dict[str, Any]]] = field(
        default_factory=list
    )
    memberships: list[tuple[GroupKey, str]] = field(default_factory=list)
