"""`flatnet floating pool ...`: ranges that floating addresses are of."""

import argparse
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

from flatnet.cmd.cli import session
from flatnet.cmd.cli.base import Command, Lister, ShowOne
from flatnet.config.settings import Settings
from flatnet.exceptions import CidrConflict

if TYPE_CHECKING:
    from flatnet.db.engine import Database

Answer = tuple[tuple[str, ...], tuple[Any, ...]]


class Create(ShowOne):
    """Put the addresses of a range into a pool.

    The range must be routed to the hosts' public interfaces, or be a part of
    the network there that nobody uses.
    """

    columns = ("pool", "cidr", "interface", "addresses")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME", help="the pool's name")
        parser.add_argument(
            "--cidr", required=True, help="the range, such as 203.0.113.0/28"
        )
        parser.add_argument(
            "--interface",
            help="the device of its addresses on every host "
            "(public_interface)",
        )

    def take_action(self, parsed_args: argparse.Namespace) -> Answer:
        from flatnet.db import checks, floating_pools

        wanted = session.settings(self.app_args)
        with session.database(wanted) as database:
            _check_unused(database, checks.cidr(parsed_args.cidr), wanted)
            number = floating_pools.create(
                database,
                name=parsed_args.name,
                cidr=parsed_args.cidr,
                interface=parsed_args.interface,
            )
        return self.columns, (
            parsed_args.name,
            parsed_args.cidr,
            parsed_args.interface,
            number,
        )


class List(Lister):
    """List the pools of floating addresses."""

    columns = ("pool", "interface", "addresses", "used")

    def take_action(
        self,
        parsed_args: argparse.Namespace,  # noqa: ARG002
    ) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        from flatnet.db import floating_pools

        with session.database(session.settings(self.app_args)) as database:
            found = floating_pools.list_all(database)
        return self.columns, [
            (each.name, each.interface, each.addresses, each.used)
            for each in found
        ]


class Delete(Command):
    """Delete a pool of which no project has an address."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME", help="the pool's name")

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        from flatnet.db import floating_pools

        with session.database(session.settings(self.app_args)) as database:
            floating_pools.delete(database, parsed_args.name)
        print(f"pool {parsed_args.name} is deleted")


def _check_unused(
    database: "Database", network: IPv4Network, wanted: Settings
) -> None:
    """Check that nothing in a range is this host's, or needed by it.

    :raises CidrConflict: what is, and whose
    """
    from ipaddress import ip_address

    from oslo_config import cfg

    from flatnet.apply.link.link import read_addresses
    from flatnet.cmd import needs

    in_use = needs.needs(cfg.CONF, wanted, database.servers).now
    known = {
        each.ip: "an address of this host"
        for each in read_addresses()
        if not each.ours
    }
    known |= {each.address: each.what for each in in_use}
    for address, what in known.items():
        if ip_address(address) in network:
            raise CidrConflict(
                f"{network} holds {address}, which is {what}: give the parts "
                "of the range that nobody uses"
            )
