"""What `flatnet instance list|show` say of instances, by their uuids."""

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flatnet.cmd.cli.base import Lines
from flatnet.config.settings import Settings
from flatnet.plan.conditions import host_condition, instance_condition
from flatnet.plan.port import port_name
from flatnet.state.rows import Binding, Instance, Interface, Service

if TYPE_CHECKING:
    from flatnet.db.engine import Database

LISTED = (
    *("uuid", "hostname", "host", "project_id", "state", "reason"),
    *("addresses", "device", "security_groups"),
)


@dataclass(frozen=True)
class Inventory:
    """Interfaces, bindings on the instances' hosts, and reports, by key."""

    interfaces: dict[str, list[Interface]]
    bound: dict[tuple[str, str], list[Binding]]
    reports: dict[str, Service]
    reconcile_interval: int

    @classmethod
    def of(
        cls,
        database: "Database",
        wanted: Settings,
        *,
        host: str | None = None,
        uuid: str | None = None,
    ) -> "Inventory":
        """Read what is known of all instances, of a host, or of one."""
        from flatnet.db import bindings, interfaces, services

        mine: dict[str, list[Interface]] = defaultdict(list)
        for each in interfaces.list_all(database, host=host, uuid=uuid):
            mine[each.instance_uuid].append(each)
        bound: dict[tuple[str, str], list[Binding]] = defaultdict(list)
        for where, binding in bindings.list_all(
            database, host=host, uuid=uuid
        ):
            bound[where, binding.instance_uuid].append(binding)
        return cls(
            interfaces=mine,
            bound=bound,
            reports={each.host: each for each in services.list_all(database)},
            reconcile_interval=wanted.reconcile_interval,
        )

    def listed(self, instance: Instance) -> tuple[Any, ...]:
        """Return what is said of an instance, in the order of `LISTED`."""
        mine = self.interfaces.get(instance.uuid, [])
        host = instance.host or ""
        state, reason = instance_condition(
            instance,
            has_network=bool(mine),
            bound=self.bound.get((host, instance.uuid), ()),
            host=host_condition(
                self.reports.get(host), self.reconcile_interval
            ),
        )
        groups = {each for i in mine for each in i.security_group_ids}
        return (
            instance.uuid,
            instance.hostname,
            instance.host,
            instance.project_id,
            state,
            reason,
            Lines([address for i in mine for address in i.addresses]),
            Lines([port_name(each.uuid) for each in mine]),
            Lines(sorted(groups)),
        )
