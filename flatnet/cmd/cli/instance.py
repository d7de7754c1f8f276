"""`flatnet instance ...`: rows that a compute service owns."""

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flatnet.cmd.cli import session
from flatnet.cmd.cli.base import Lines, Lister, ShowOne, warn
from flatnet.rows import Instance

if TYPE_CHECKING:
    from flatnet.db.engine import Database

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
            if not services.exists(database, parsed_args.host):
                warn(
                    "no flatnet-manager has ever reported from host "
                    f"{parsed_args.host}; compare `flatnet host list`"
                )
        return self.columns, _row(made)


class List(Lister):
    """List the living instances with their addresses."""

    columns = ("UUID", "Hostname", "Host", "Project", "Addresses")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--host", help="only those of this compute node")

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        from flatnet.db import instances

        with session.database(session.settings(self.app_args)) as database:
            found = instances.list_all(database, parsed_args.host)
            addresses = _addresses(database, {each.host for each in found})
        return self.columns, [
            (
                each.uuid,
                each.hostname,
                each.host,
                each.project_id,
                Lines(addresses.get(each.uuid, [])),
            )
            for each in found
        ]


class Show(ShowOne):
    """Show an instance with its interfaces."""

    columns = (*FIELDS, "interfaces", "security_groups")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_instance(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> Answer:
        from flatnet.db import instances, interfaces

        with session.database(session.settings(self.app_args)) as database:
            found = instances.get(database, parsed_args.instance)
            attached = interfaces.of_instance(database, found.uuid)
        ports = [
            {
                "network": network.label,
                "address": ",".join(interface.addresses),
                "mac": interface.mac,
                "vif": interface.uuid,
                "bridge": network.bridge,
            }
            for interface, network in attached
        ]
        groups = attached[0][0].security_group_ids if attached else ()
        return self.columns, (*_row(found), Lines(ports), Lines(groups))


def add_instance(parser: argparse.ArgumentParser) -> None:
    """Let the command take the instance that it is about."""
    parser.add_argument(
        "instance",
        metavar="NAME-OR-UUID",
        help="the instance, by hostname or uuid",
    )


def _row(instance: Instance) -> tuple[Any, ...]:
    return tuple(getattr(instance, field) for field in FIELDS)


def _addresses(
    database: "Database", hosts: Iterable[str | None]
) -> dict[str, list[str]]:
    """The addresses of the instances of some hosts, by uuid."""
    from flatnet.db import snapshot

    found: dict[str, list[str]] = {}
    for host in sorted(filter(None, hosts)):
        for interface in snapshot.read(database, host).interfaces:
            mine = found.setdefault(interface.instance_uuid, [])
            mine.extend(interface.addresses)
    return found
