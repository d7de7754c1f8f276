"""What callers are told of instances and of this host, as JSON primitives."""

from dataclasses import asdict
from typing import Any

from flatnet.db import bindings, instances, interfaces, services
from flatnet.db.engine import Database
from flatnet.outcome import Pass
from flatnet.plan import nwinfo
from flatnet.settings import Settings

Json = dict[str, Any]


def network_info(
    database: Database,
    settings: Settings,
    *,
    instance_uuid: str,
    host: str,
    last: Pass,
) -> list[Json]:
    """Return NetworkInfo of an instance, as guests of `host` see it.

    :param last: the last pass of this host, which knows its mtus
    :raises InstanceNotFound: no living instance has that uuid
    """
    attached = tuple(
        (
            interface,
            network,
            interfaces.host_address(
                database, network_id=network.id, host=host
            ),
        )
        for interface, network in interfaces.of_instance(
            database, instance_uuid
        )
    )
    return nwinfo.network_info(
        attached,
        settings,
        mtus=last.mtus,
        plugged=_plugged(database, instance_uuid),
    )


def _plugged(database: Database, instance_uuid: str) -> frozenset[str]:
    """The interfaces that the last pass of their instance's host made."""
    own_host = instances.get(database, instance_uuid).host
    if own_host is None:
        return frozenset()
    reported = services.get(database, own_host)
    if reported is not None and reported.state == "failed":
        return frozenset()
    return frozenset(
        binding.interface_uuid
        for host, binding in bindings.list_all(database, uuid=instance_uuid)
        if host == own_host and binding.found == "up"
    )


def host_state(host: str, last: Pass) -> Json:
    """Return what a host made of its last pass."""
    return {
        "host": host,
        "state": last.state,
        "error": str(last.error) if last.error else None,
        "failures": [
            {
                "subject": failure.subject,
                "message": failure.message,
                "instances": list(failure.instances),
            }
            for failure in last.changes.failures
        ],
        "warnings": list(last.warnings),
        "declined": [asdict(each) for each in last.changes.declined],
        "ports": [
            {
                "device": port.name,
                "state": port.found,
                "carrier": port.carrier,
                "reason": port.reason,
            }
            for port in last.changes.ports
        ],
        "bridges": [
            {
                "name": bridge.name,
                "address": bridge.address,
                "mtu": bridge.mtu,
                "uplink": bridge.uplink,
                "ports": len(bridge.ports),
            }
            for bridge in (last.plan.bridges if last.plan else ())
        ],
    }
