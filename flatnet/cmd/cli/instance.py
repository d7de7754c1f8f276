"""`flatnet instance ...`: rows that a compute service owns."""

import argparse
from typing import TYPE_CHECKING, Any

from flatnet.cmd.cli import membership, session
from flatnet.cmd.cli.base import Lines, Lister, ShowOne, warn
from flatnet.cmd.cli.inventory import LISTED, Inventory
from flatnet.plan.port import port_rate
from flatnet.state.rows import Instance

if TYPE_CHECKING:
    from flatnet.db.engine import Database
    from flatnet.db.memberships import Regrouped

Answer = tuple[tuple[str, ...], tuple[Any, ...]]
FIELDS = ("id", "uuid", "hostname", "host", "project_id")


class Create(ShowOne):
    """Write an instance's row, where no compute service does."""

    columns = FIELDS

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--hostname", required=True, help="its name, in DNS too"
        )
        parser.add_argument(
            "--host", required=True, help="the compute node that it runs on"
        )
        parser.add_argument(
            "--project-id", required=True, help="the project that it is of"
        )
        parser.add_argument("--uuid", help="its uuid (a random one)")

    def take_action(self, parsed_args: argparse.Namespace) -> Answer:
        from flatnet.db import instances, services

        with session.database(session.settings(self.app_args)) as database:
            made = instances.create(
                database,
                hostname=parsed_args.hostname,
                host=parsed_args.host,
                project_id=parsed_args.project_id,
                uuid=parsed_args.uuid,
            )
            if services.get(database, parsed_args.host) is None:
                warn(
                    "no flatnet-manager has ever reported from host "
                    f"{parsed_args.host}; compare `flatnet host list`"
                )
        return self.columns, _row(made)


class List(Lister):
    """List the living instances: in what state, with which addresses."""

    columns = LISTED

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--host", help="only those of this compute node")

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        from flatnet.db import instances

        wanted = session.settings(self.app_args)
        with session.database(wanted) as database:
            found = instances.list_all(database, parsed_args.host)
            known = Inventory.of(database, wanted, host=parsed_args.host)
        return self.columns, [known.listed(each) for each in found]


class Set(membership.Regrouping):
    """Set the security groups that an instance is in.

    It is in those that are given, and in no other any more, from one moment
    to the next.
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_instance(parser)
        groups = parser.add_mutually_exclusive_group(required=True)
        groups.add_argument(
            "--security-group",
            metavar="NAME-OR-ID",
            dest="groups",
            action="append",
            help="a group that it is to be in, in place of those that it is "
            "in now (may be given again)",
        )
        groups.add_argument(
            "--no-security-group",
            dest="groups",
            action="store_const",
            const=(),
            help="let it be in none",
        )

    def regrouped(
        self, database: "Database", parsed_args: argparse.Namespace
    ) -> "Regrouped":
        from flatnet.db import memberships

        return memberships.set_groups(
            database, instance=parsed_args.instance, groups=parsed_args.groups
        )


class Show(ShowOne):
    """Show an instance with its interfaces."""

    columns = ("id", *LISTED, "interfaces")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_instance(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> Answer:
        from flatnet.db import instances, interfaces

        wanted = session.settings(self.app_args)
        with session.database(wanted) as database:
            found = instances.get(database, parsed_args.instance)
            attached = interfaces.of_instance(database, found.uuid)
            known = Inventory.of(database, wanted, uuid=found.uuid)
        ports = [
            {
                "network": network.label,
                "address": ",".join(interface.addresses),
                "mac": interface.mac,
                "vif": interface.uuid,
                "bridge": network.bridge,
                "rate": port_rate(interface, wanted) or None,
            }
            for interface, network in attached
        ]
        return self.columns, (found.id, *known.listed(found), Lines(ports))


def add_instance(parser: argparse.ArgumentParser) -> None:
    """Let the command take the instance that it is about."""
    parser.add_argument(
        "instance",
        metavar="NAME-OR-UUID",
        help="the instance, by hostname or uuid",
    )


def _row(instance: Instance) -> tuple[Any, ...]:
    return tuple(getattr(instance, field) for field in FIELDS)
