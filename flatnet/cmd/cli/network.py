"""`flatnet network ...`: the flat pools that all hosts share."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from flatnet.cmd.cli import session
from flatnet.cmd.cli.base import Command, Lister, Pairs, ShowOne, warn
from flatnet.config.settings import Settings
from flatnet.exceptions import Conflict
from flatnet.plan.bridge import uplink_name
from flatnet.state.rows import Network

if TYPE_CHECKING:
    from flatnet.db.engine import Database

Answer = tuple[tuple[str, ...], tuple[Any, ...]]
FIELDS = tuple(field.name for field in fields(Network))


class Create(ShowOne):
    """Create a network; what is not given comes from the options."""

    columns = FIELDS

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        texts = {
            "--cidr": "the range, such as 10.0.0.0/24",
            "--bridge": "the bridge on every host (flat_network_bridge)",
            "--uplink": "the device to enslave to it, where flat_interface "
            "does not say (flat_interface)",
            "--gateway": "an address set aside for a router of its own",
            "--cidr-v6": "the IPv6 range, a /64 such as fd00::/64, for "
            "use_ipv6",
            "--gateway-v6": "an IPv6 address of a router of its own",
            "--dns1": "a name server",
            "--dns2": "another",
            "--allowed-start": "the first address to be given out",
            "--allowed-end": "the last one",
            "--fixed-cidr": "the part of the range to give addresses from",
            "--project-id": "the project that it is for",
        }
        parser.add_argument("label", metavar="LABEL", help="its name")
        for option, text in texts.items():
            parser.add_argument(option, required=option == "--cidr", help=text)
        parser.add_argument(
            "--mtu", type=int, help="bytes of a packet (the uplink's)"
        )
        parser.add_argument(
            "--host",
            help="the one host that serves all guests; implies "
            "--single-host (the first daemon that finds the network)",
        )
        add_modes(parser.add_mutually_exclusive_group())

    def take_action(self, parsed_args: argparse.Namespace) -> Answer:
        from flatnet.db import networks

        wanted = session.settings(self.app_args)
        values = _values(parsed_args, wanted)
        with session.database(wanted) as database:
            _check_uplink(values, wanted, networks.list_all(database))
            made = networks.create(database, **values)
            _set_aside(database, made, wanted)
            _warn_of_host(database, made)
        return self.columns, tuple(asdict(made).values())


class List(Lister):
    """List the networks."""

    columns = (
        *("UUID", "Label", "CIDR", "Bridge", "Uplink", "Project"),
        *("multi_host", "host"),
    )

    def take_action(
        self,
        parsed_args: argparse.Namespace,  # noqa: ARG002
    ) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        from flatnet.db import networks

        with session.database(session.settings(self.app_args)) as database:
            found = networks.list_all(database)
        return self.columns, [
            (
                network.uuid,
                network.label,
                network.cidr,
                network.bridge,
                network.bridge_interface,
                network.project_id,
                network.multi_host,
                network.host,
            )
            for network in found
        ]


class Show(ShowOne):
    """Show a network with the addresses of its hosts' bridges."""

    columns = (*FIELDS, "host_addresses", "reserved")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_network(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> Answer:
        from flatnet.db import networks, reservations

        with session.database(session.settings(self.app_args)) as database:
            network = networks.get(database, parsed_args.network)
            hosts = Pairs(_host_addresses(database, network))
            reserved = Pairs(reservations.reasons(database, network.id))
        return self.columns, (*asdict(network).values(), hosts, reserved)


class Delete(Command):
    """Delete a network that no instance uses."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_network(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        from flatnet.db import networks

        with session.database(session.settings(self.app_args)) as database:
            networks.delete(database, parsed_args.network)
        print(f"network {parsed_args.network} is deleted")


def add_network(parser: argparse.ArgumentParser) -> None:
    """Let the command take the network that it is about."""
    parser.add_argument("network", metavar="NAME-OR-UUID", help="the network")


def add_modes(parser: argparse._ActionsContainer) -> None:
    """Let a command take how a network is served."""
    parser.add_argument(
        "--multi-host",
        dest="multi_host",
        action="store_const",
        const=True,
        help="each host serves its own guests",
    )
    parser.add_argument(
        "--single-host",
        dest="multi_host",
        action="store_const",
        const=False,
        help="one host serves all guests",
    )


def _values(given: argparse.Namespace, wanted: Settings) -> dict[str, Any]:
    """The arguments for `networks.create`; an empty text is as none."""
    return {
        "label": given.label,
        "cidr": given.cidr,
        "bridge": given.bridge or wanted.flat_network_bridge,
        "bridge_interface": given.uplink or wanted.flat_interface or None,
        "gateway": given.gateway or None,
        "cidr_v6": given.cidr_v6 or None,
        "gateway_v6": given.gateway_v6 or None,
        "dns1": given.dns1 or None,
        "dns2": given.dns2 or None,
        "allowed_start": given.allowed_start or None,
        "allowed_end": given.allowed_end or None,
        "fixed_cidr": given.fixed_cidr or None,
        "mtu": given.mtu,
        "multi_host": _is_multi_host(given, wanted),
        "host": given.host or None,
        "injected": wanted.flat_injected,
        "project_id": given.project_id or None,
    }


def _is_multi_host(given: argparse.Namespace, wanted: Settings) -> bool:
    if given.multi_host is not None:
        return bool(given.multi_host)
    return wanted.multi_host and not given.host


def _check_uplink(
    values: dict[str, Any], wanted: Settings, others: Sequence[Network]
) -> None:
    """Refuse an uplink that a host with these options would not use.

    Rows know nothing of `flat_interface`, which may name another device
    than the row, or one that another network's bridge has.

    :param values: the arguments for `networks.create`
    :raises Conflict: the line says what to do
    """
    names = ("label", "cidr", "bridge", "bridge_interface")
    mine = Network(id=0, uuid="", **{name: values[name] for name in names})
    asked, used = mine.bridge_interface, uplink_name(mine, wanted)
    if asked and asked != used:
        raise Conflict(
            f"uplink {asked} would not be used: flat_interface = {used} is "
            f"that of {mine.bridge} (flat_network_bridge); leave out either "
            "--uplink or the option"
        )
    for other in others:
        if (
            used
            and used == uplink_name(other, wanted)
            and (other.bridge != mine.bridge)
        ):
            raise Conflict(
                f"uplink {used} is that of network {other.label} "
                f"({other.bridge}) already: give this network a device of "
                "its own with --uplink"
            )
    if used:
        _check_held(used, mine.bridge)


def _check_held(uplink: str, bridge: str) -> None:
    """Refuse an uplink that is a port of another bridge where we are.

    Rows say nothing of bridges that an admin made.

    :raises Conflict: the line says what to do
    """
    from flatnet.apply.link.link import read_links

    here = read_links()
    names = {each.index: each.name for each in here}
    for each in here:
        holder = names.get(each.master)
        if each.name == uplink and holder and holder != bridge:
            raise Conflict(
                f"uplink {uplink} is a port of {holder} on this host: give "
                "this network a device of its own with --uplink, or the "
                f"bridge {holder} with --bridge"
            )


def _set_aside(database: "Database", made: Network, wanted: Settings) -> None:
    """Set aside what this host needs of a network, and warn of it.

    Where it is created need not be where it serves: it is for whoever made it
    to know.
    """
    from oslo_config import cfg

    from flatnet.apply.link.conflicts import foreseen
    from flatnet.cmd import needs
    from flatnet.db import reservations

    in_use = needs.needs(cfg.CONF, wanted, database.servers).now
    reservations.ensure(
        database, network_uuid=made.uuid, host=wanted.host, in_use=in_use
    )
    text = foreseen(made.cidr, bridge=made.bridge, in_use=in_use)
    if text:
        warn(text)


def _warn_of_host(database: "Database", made: Network) -> None:
    """Say that nobody serves, where the host was never heard of."""
    from flatnet.db import services

    if made.host and services.get(database, made.host) is None:
        warn(
            f"no flatnet-manager has ever reported from host {made.host}, "
            "which is to serve all guests: until one does nobody is served"
        )


def _host_addresses(database: "Database", network: Network) -> dict[str, str]:
    """The address of each host's bridge in the network, by host."""
    from flatnet.db import interfaces, services

    hosts = sorted({each.host for each in services.list_all(database)})
    found = {
        host: interfaces.host_address(
            database, network_id=network.id, host=host
        )
        for host in hosts
    }
    return {host: address for host, address in found.items() if address}
