"""What callers are told of instances and of this host, as JSON primitives."""

from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from flatnet.config.settings import Settings
from flatnet.db import instance_info
from flatnet.db.engine import Database
from flatnet.db.orders import Served
from flatnet.passes.outcome import Pass
from flatnet.plan import nwinfo
from flatnet.plan.port import port_name
from flatnet.state.changes import Failure, Fight
from flatnet.state.rows import FloatingIp, Interface

Json = dict[str, Any]
# Seconds; a pass over a full host that is new takes a few.
_LONG = 30.0


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
    found = instance_info.of_instance(
        database, instance_uuid=instance_uuid, host=host
    )
    return nwinfo.network_info(
        found.networks,
        settings,
        host=host,
        mtus=last.mtus,
        plugged=found.up,
    )


def served_info(
    served: Served, settings: Settings, outcome: Pass, *, last: Pass
) -> list[Json]:
    """Return NetworkInfo of an instance whose rows were just written.

    :param outcome: of a pass of this host that saw them, and that may have
        given its bridges other addresses
    :param last: the last one, which knows its rows
    """
    now = outcome.bridge_addresses
    is_here = served.host == settings.host
    return nwinfo.network_info(
        tuple(
            (
                replace(interface, floating=_floating(interface, last)),
                network,
                now.get(network.uuid, address),
            )
            for interface, network, address in served.networks
        ),
        settings,
        host=settings.host,
        mtus=outcome.mtus,
        plugged=[
            interface.uuid
            for interface, _, _ in served.networks
            if is_here and outcome.is_up(port_name(interface.uuid))
        ],
    )


def _floating(interface: Interface, last: Pass) -> tuple[FloatingIp, ...]:
    """The floating addresses that lead to an interface, as a pass saw it."""
    rows = last.planned.rows.interfaces if last.planned else {}
    known = rows.get(interface.uuid)
    return known.floating if known else ()


def host_state(host: str, last: Pass, *, running: float) -> Json:
    """Return what a host made of its last pass.

    :param running: seconds that the present one has taken so far
    """
    state, error = _state(last, running)
    guests = last.guests
    return {
        "host": host,
        "state": state,
        "error": error,
        "failures": [_failure(each) for each in last.changes.failures],
        "warnings": list(last.warnings),
        "declined": [asdict(each) for each in last.changes.declined],
        "fights": [_fight(each) for each in last.changes.fights],
        "ports": [
            {
                "device": port.name,
                "state": port.found,
                "carrier": port.carrier,
                "reason": port.reason,
            }
            for _, port in sorted(last.ports.items())
        ],
        "bridges": [
            {
                "name": bridge.name,
                "address": bridge.address,
                "mtu": bridge.mtu,
                "uplink": bridge.uplink,
                "ports": guests[bridge.network_uuid],
            }
            for bridge in last.bridges
        ],
    }


def _failure(failure: Failure) -> Json:
    return {
        "subject": str(failure.subject),
        "message": failure.message,
        "instances": list(failure.instances),
        "key": str(failure.key or ""),
    }


def _fight(fight: Fight) -> Json:
    since = datetime.fromtimestamp(fight.since, UTC)
    return {
        **asdict(fight),
        "what": str(fight.what),
        "since": since.isoformat(timespec="seconds").replace("+00:00", "Z"),
    }


def _state(last: Pass, running: float) -> tuple[str, str | None]:
    if last.error:
        return last.state, str(last.error)
    if running > _LONG:
        return "degraded", (
            f"a pass has been running for {running:.0f} s; what is shown is "
            "of the one before"
        )
    return last.state, None
