"""`flatnet security group ...`: groups, as a project has them."""

import argparse
from dataclasses import asdict
from typing import Any

from flatnet.cmd.cli import session
from flatnet.cmd.cli.base import Command, Lines, Lister, ShowOne
from flatnet.state import grouprules
from flatnet.state.rows import SecurityGroup

Answer = tuple[tuple[str, ...], tuple[Any, ...]]


class Create(ShowOne):
    """Create a security group without rules or members."""

    columns = ("id", "name", "rules")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME", help="its name")
        parser.add_argument(
            "--project-id", required=True, help="the project that it is of"
        )
        parser.add_argument("--description", help="what it is for")

    def take_action(self, parsed_args: argparse.Namespace) -> Answer:
        from flatnet.db import security_groups

        with session.database(session.settings(self.app_args)) as database:
            made = security_groups.create(
                database,
                name=parsed_args.name,
                project_id=parsed_args.project_id,
                description=parsed_args.description,
            )
        return self.columns, _group_row(made)


class List(Lister):
    """List the security groups."""

    columns = ("ID", "Name", "Rules")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--project-id", help="only those of this project")

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        from flatnet.db import security_groups

        with session.database(session.settings(self.app_args)) as database:
            found = security_groups.list_all(database, parsed_args.project_id)
        return self.columns, [
            (group.id, group.name, len(group.rules)) for group in found
        ]


class Show(ShowOne):
    """Show a security group with its rules."""

    columns = ("id", "name", "rules")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_group(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> Answer:
        from flatnet.db import security_groups

        with session.database(session.settings(self.app_args)) as database:
            found = security_groups.get(database, parsed_args.group)
        return self.columns, _group_row(found)


class Delete(Command):
    """Delete a security group that nothing uses, with its rules."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_group(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        from flatnet.db import security_groups

        with session.database(session.settings(self.app_args)) as database:
            security_groups.delete(database, parsed_args.group)
        print(f"security group {parsed_args.group} is deleted")


def add_group(parser: argparse.ArgumentParser) -> None:
    """Let the command take the security group that it is about."""
    parser.add_argument(
        "group", metavar="NAME-OR-ID", help="the security group"
    )


def _group_row(group: SecurityGroup) -> tuple[Any, ...]:
    """What a group is; a rule that lets nothing in says why (`fault`)."""
    rules = [
        {**asdict(each), "fault": grouprules.fault(each)}
        for each in group.rules
    ]
    return group.id, group.name, Lines(rules)
