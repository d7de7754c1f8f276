"""`flatnet floating ...`: addresses of the outside that lead to instances."""

import argparse
from typing import Any

from flatnet.cmd.cli import session
from flatnet.cmd.cli.base import Command, Lister, ShowOne

Answer = tuple[tuple[str, ...], tuple[Any, ...]]
_ADMIN = {"is_admin": True}


class List(Lister):
    """List the floating addresses that projects have."""

    columns = (
        *("address", "pool", "fixed_address", "instance", "host"),
        "project_id",
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--project", help="only those of this project")

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        from flatnet.db import floating_lists

        with session.database(session.settings(self.app_args)) as database:
            found = floating_lists.list_all(
                database, project_id=parsed_args.project
            )
        return self.columns, [
            (
                each.address,
                each.pool,
                each.fixed_address,
                each.instance_uuid,
                each.host,
                each.project_id,
            )
            for each in found
        ]


class Allocate(ShowOne):
    """Give a project the lowest free address of a pool."""

    columns = ("address", "pool", "project_id")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("pool", metavar="POOL", help="the pool")
        parser.add_argument(
            "--project", required=True, help="the project that is to have it"
        )

    def take_action(self, parsed_args: argparse.Namespace) -> Answer:
        from flatnet.db import floating_ips

        pool, project = parsed_args.pool, parsed_args.project
        with session.database(session.settings(self.app_args)) as database:
            address = floating_ips.allocate(
                database, pool=pool, project_id=project
            )
        return self.columns, (address, pool, project)


class Release(Command):
    """Give a floating address back to its pool."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_address(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        from flatnet.db import floating_ips
        from flatnet.state.requester import Requester

        with session.database(session.settings(self.app_args)) as database:
            floating_ips.deallocate(
                database,
                address=parsed_args.address,
                requester=Requester(is_admin=True),
                affect_auto_assigned=True,
            )
        print(f"floating address {parsed_args.address} is in its pool again")


class Associate(Command):
    """Have a floating address lead to a fixed one, wherever it led before.

    It is done once the instance's host translates it.
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_address(parser)
        parser.add_argument(
            "fixed", metavar="FIXED", help="the address of an instance"
        )

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        session.settings(self.app_args)
        from flatnet.cmd.cli.broker import network_api

        with network_api() as api:
            before = api.associate_floating_ip(
                _ADMIN,
                floating_address=parsed_args.address,
                fixed_address=parsed_args.fixed,
                affect_auto_assigned=True,
            )
        was = f", and no more to instance {before}" if before else ""
        print(
            f"floating address {parsed_args.address} leads to "
            f"{parsed_args.fixed}{was}"
        )


class Disassociate(Command):
    """Have a floating address lead nowhere; its project keeps it."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_address(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        session.settings(self.app_args)
        from flatnet.cmd.cli.broker import network_api

        with network_api() as api:
            api.disassociate_floating_ip(
                _ADMIN,
                address=parsed_args.address,
                affect_auto_assigned=True,
            )
        print(f"floating address {parsed_args.address} leads nowhere")


def add_address(parser: argparse.ArgumentParser) -> None:
    """Let the command take the floating address that it is about."""
    parser.add_argument(
        "address", metavar="ADDRESS", help="the floating address"
    )
