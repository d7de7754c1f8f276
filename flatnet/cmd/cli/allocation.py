"""`flatnet instance allocate|deallocate`: what a compute service calls."""

import argparse
import contextlib
import re
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Any

from flatnet.cmd.cli import session
from flatnet.cmd.cli.base import Command, Lister, warn
from flatnet.cmd.cli.instance import add_instance
from flatnet.exceptions import (
    FixedIpInvalid,
    FixedIpNotFoundForNetwork,
    HostNotFound,
    InstanceNotFound,
)
from flatnet.state.rows import RATES, Instance

if TYPE_CHECKING:
    from flatnet.db.engine import Database

_UNITS = {"": 1, "k": 1_000, "M": 1_000_000, "G": 1_000_000_000}
Requested = list[list[str | None]]


class Allocate(Lister):
    """Have an instance's host give it addresses and ports.

    It gets an interface with an address in every network, or in those that
    --network or --address name; the first has the default route.  Asked again
    it answers with what there is.
    """

    columns = (
        *("Network", "Address", "Gateway"),
        *("MAC", "Device", "Bridge", "MTU"),
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_instance(parser)
        parser.add_argument(
            "--address",
            help="the address that it is to have, of the first network named",
        )
        parser.add_argument(
            "--network",
            action="append",
            metavar="NAME-OR-UUID",
            help="a network that it is to be in, for each interface there",
        )
        parser.add_argument(
            "--mac",
            action="append",
            help="the MAC that it is to have, for each new interface",
        )
        parser.add_argument(
            "--rate",
            type=_rate,
            metavar="BIT/S",
            help="what each of its ports may send, and take (10M, 1G); 0: as "
            "much as it can (port_rate times its rxtx_factor)",
        )

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        from flatnet import reports
        from flatnet.db import instances

        wanted = session.settings(self.app_args)
        with session.database(wanted) as database:
            instance = instances.get(database, parsed_args.instance)
            host = _host_of(instance)
            reports.check_heard(database, host, wanted.reconcile_interval)
            requested = _requested(database, parsed_args)
        # Its import takes long, and mistakes are told by now.
        from flatnet.cmd.cli.broker import network_api

        with network_api() as api:
            vifs = api.allocate_for_instance(
                {},
                instance_id=instance.uuid,
                host=host,
                project_id=instance.project_id,
                requested_networks=requested,
                macs=parsed_args.mac,
                port_rate=parsed_args.rate,
            )
        return self.columns, [_row(vif) for vif in vifs]


class Deallocate(Command):
    """Take an instance's addresses and ports away.

    Its rows go at once; its host follows when it can.  Where the instance's
    row is gone, give its uuid.
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_instance(parser)
        parser.add_argument(
            "--host", help="its compute node, where no row says it"
        )

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        with session.database(session.settings(self.app_args)) as database:
            uuid = _known(database, parsed_args.instance)
        from flatnet.cmd.cli.broker import network_api

        with network_api() as api:
            answer = api.deallocate_for_instance(
                {}, instance_id=uuid, host=parsed_args.host
            )
        print(f"instance {parsed_args.instance} has no network any more")
        for host, reason in (answer or {}).get("hosts", {}).items():
            warn(
                f"its addresses are free, but host {host} has not followed "
                f"yet and does so when it can: {reason}"
            )


def _known(database: "Database", reference: str) -> str:
    """Return the uuid of an instance that lives or that left something.

    :raises InstanceNotFound: there is nothing to take away
    """
    from flatnet.db import bindings, instances, interfaces

    try:
        return instances.get(database, reference).uuid
    except InstanceNotFound as error:
        with contextlib.suppress(InstanceNotFound):
            uuid = instances.uuid_of(database, reference)
            left = interfaces.of_instance(database, uuid)
            if left or bindings.list_all(database, uuid=uuid):
                return uuid
        raise InstanceNotFound(
            f"{error}, nor left one an interface or a port: there is "
            "nothing to take away"
        ) from error


def _host_of(instance: Instance) -> str:
    """Return where an instance runs.

    :raises HostNotFound: nowhere
    """
    if not instance.host:
        raise HostNotFound(
            f"instance {instance.uuid} has no host: write instances.host"
        )
    return instance.host


def _requested(
    database: "Database", given: argparse.Namespace
) -> Requested | None:
    """Pairs of a network's uuid and an address, or none for all networks.

    :raises NetworkNotFound: no network has that name or uuid
    :raises FixedIpInvalid: it is no address
    :raises FixedIpNotFoundForNetwork: no network has it
    """
    from flatnet.db import networks

    address = None if given.address is None else _address(given.address)
    text = None if address is None else str(address)
    if given.network:
        uuids = [networks.get(database, each).uuid for each in given.network]
        first, *others = uuids
        return [[first, text], *([each, None] for each in others)]
    if address is None:
        return None
    for network in networks.list_all(database):
        if address in IPv4Network(network.cidr):
            return [[network.uuid, text]]
    raise FixedIpNotFoundForNetwork(
        f"no network has the address {address}; compare `flatnet network list`"
    )


def _address(text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except AddressValueError as error:
        raise FixedIpInvalid(f"{text!r} is not an IPv4 address") from error


def _rate(text: str) -> int:
    """Return bit/s: a number, or one with k, M or G behind it."""
    found = re.fullmatch(r"([0-9]{1,13})([kMG]?)", text)
    rate = int(found[1]) * _UNITS[found[2]] if found else -1
    if rate and rate not in RATES:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no rate: 0 for none, or {RATES[0]} to {RATES[-1]} "
            "bit/s, as 64k, 10M or 1G"
        )
    return rate


def _row(vif: dict[str, Any]) -> tuple[Any, ...]:
    """One VIF of NetworkInfo as a row."""
    network = vif["network"]
    subnet = network["subnets"][0]
    gateway = subnet.get("gateway") or {}
    return (
        network["label"],
        ",".join(ip["address"] for ip in subnet["ips"]),
        gateway.get("address"),
        vif["address"],
        vif["devname"],
        network["bridge"],
        network["meta"].get("mtu"),
    )
