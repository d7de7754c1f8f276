"""`flatnet port list|show`: the ports that hosts have, or should have.

From rows alone: what callers want, and what the host made of it last.  Ports
of a bridge that nobody planned are known to their host only.
"""

import argparse
from typing import TYPE_CHECKING, Any

from flatnet.cmd.cli import session
from flatnet.cmd.cli.base import Lines, Lister, ShowOne
from flatnet.config.settings import Settings
from flatnet.exceptions import Conflict, NotFound
from flatnet.plan.port import port_name, port_rate
from flatnet.state.rows import GONE, Binding, Interface, Network

if TYPE_CHECKING:
    from flatnet.db.engine import Database

COLUMNS = (
    *("device", "bridge", "mac", "addresses", "instance"),
    *("host", "state", "reason", "rate"),
)
# One that is kept for a guest that no row names there is up.
_STATES = {"held": "up"}


class List(Lister):
    """List the ports of instances, with what their hosts made of them."""

    columns = COLUMNS

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--host", help="only those of this compute node")

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        wanted = session.settings(self.app_args)
        with session.database(wanted) as database:
            found = _ports(database, wanted, parsed_args.host)
        return self.columns, [_row(each) for each in found]


class Show(ShowOne):
    """Show a port: by its device, an address, its MAC or its instance."""

    columns = COLUMNS

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "port",
            metavar="DEVICE-ADDRESS-MAC-OR-INSTANCE",
            help="whose port it is, or its name",
        )
        parser.add_argument(
            "--host", help="its compute node, where it is on more than one"
        )

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        wanted, name = session.settings(self.app_args), parsed_args.port
        with session.database(wanted) as database:
            ports = _ports(database, wanted, parsed_args.host)
        found = [each for each in ports if name.lower() in each["names"]]
        if not found:
            raise NotFound(
                f"no port is named {name!r}, nor of that address, MAC or "
                "instance; compare `flatnet port list`"
            )
        if len(found) > 1:
            several = ", ".join(f"{e['device']} on {e['host']}" for e in found)
            raise Conflict(
                f"{name!r} is of more than one port: name the device and "
                f"--host ({several})"
            )
        return self.columns, _row(found[0])


def _ports(
    database: "Database", wanted: Settings, host: str | None
) -> list[dict[str, Any]]:
    """The ports that are bound to hosts, by host and device."""
    from flatnet.db import bindings, interfaces, networks

    of_network = {each.id: each for each in networks.list_all(database)}
    known = {each.uuid: each for each in interfaces.list_all(database)}
    ports = [
        _port(where, binding, interface, of_network[interface.network_id])
        | {"rate": port_rate(interface, wanted) or None}
        for where, binding in bindings.list_all(database, host=host)
        if binding.wanted != GONE
        and (interface := known.get(binding.interface_uuid)) is not None
        and interface.network_id in of_network
    ]
    return sorted(ports, key=lambda each: (each["host"], each["device"]))


def _port(
    host: str, binding: Binding, interface: Interface, network: Network
) -> dict[str, Any]:
    """A port by the names of `COLUMNS`, and the names that it goes by."""
    device, uuid = port_name(interface.uuid), interface.instance_uuid
    state, reason = _condition(binding)
    names = (device, interface.mac, uuid, interface.hostname or "")
    return {
        "device": device,
        "bridge": network.bridge,
        "mac": interface.mac,
        "addresses": interface.addresses,
        "instance": uuid,
        "host": host,
        "state": state,
        "reason": reason,
        "names": {n.lower() for n in (*names, *interface.addresses)} - {""},
    }


def _condition(binding: Binding) -> tuple[str, str | None]:
    """The state of a port and its reason."""
    if not binding.found:
        return "missing", "its host has not looked at it yet"
    return _STATES.get(binding.found, binding.found), binding.reason


def _row(port: dict[str, Any]) -> tuple[Any, ...]:
    values = {**port, "addresses": Lines(list(port["addresses"]))}
    return tuple(values[name] for name in COLUMNS)
