"""`flatnet security group ...`: groups, their rules and their members."""

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from flatnet import grouprules
from flatnet.cmd.cli import session
from flatnet.cmd.cli.base import Command, Lines, Lister, ShowOne, warn
from flatnet.exceptions import FlatnetError
from flatnet.rows import SecurityGroup, SecurityRule
from flatnet.settings import Settings

if TYPE_CHECKING:
    from flatnet.db.engine import Database

Answer = tuple[tuple[str, ...], tuple[Any, ...]]
RULE_COLUMNS = ("id", "protocol", "from_port", "to_port", "cidr", "group_id")
_FAMILIES = {"ipv4": 4, "ipv6": 6}
_ID_LAST = 2**31 - 1


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
        _add_group(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> Answer:
        from flatnet.db import security_groups

        with session.database(session.settings(self.app_args)) as database:
            found = security_groups.get(database, parsed_args.group)
        return self.columns, _group_row(found)


class Delete(Command):
    """Delete a security group that nothing uses, with its rules."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        _add_group(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        from flatnet.db import security_groups

        with session.database(session.settings(self.app_args)) as database:
            security_groups.delete(database, parsed_args.group)
        print(f"security group {parsed_args.group} is deleted")


class CreateRule(ShowOne):
    """Let traffic to a group's members through.

    What is left out is any: protocol, ports, where it comes from, which is
    written as 0.0.0.0/0, or ::/0 for IPv6.
    """

    columns = RULE_COLUMNS

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        _add_group(parser)
        parser.add_argument(
            "--protocol",
            help="a name as in /etc/protocols (tcp, icmpv6, gre) or a number",
        )
        parser.add_argument(
            "--ethertype",
            type=_family,
            metavar="{IPv4,IPv6}",
            help="what it comes by (IPv4; IPv6 with icmpv6 and an IPv6 cidr)",
        )
        parser.add_argument(
            "--from-port",
            type=int,
            help="the first port; of ICMP the type, -1 for any",
        )
        parser.add_argument(
            "--to-port",
            type=int,
            help="the last port (the first); of ICMP the code, -1 for any",
        )
        source = parser.add_mutually_exclusive_group()
        source.add_argument(
            "--cidr", help="the addresses that it comes from, v4 or v6"
        )
        source.add_argument(
            "--source-group",
            metavar="NAME-OR-ID",
            help="the group whose members it comes from",
        )

    def take_action(self, parsed_args: argparse.Namespace) -> Answer:
        from flatnet.db import security_groups

        to_port = parsed_args.to_port
        if to_port is None and grouprules.has_ports(parsed_args.protocol):
            to_port = parsed_args.from_port
        wanted = session.settings(self.app_args)
        with session.database(wanted) as database:
            group = security_groups.get(database, parsed_args.group)
            made = security_groups.create_rule(
                database,
                group=group.id,
                protocol=parsed_args.protocol,
                from_port=parsed_args.from_port,
                to_port=to_port,
                cidr=parsed_args.cidr,
                source_group=parsed_args.source_group,
                family=parsed_args.ethertype,
            )
        _tell_daemons(wanted, [group.id], who_changed=[])
        return self.columns, _rule_row(made)


class DeleteRule(Command):
    """Delete a rule."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "rule", metavar="ID", type=_identifier, help="the rule"
        )

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        from flatnet.db import security_groups

        wanted = session.settings(self.app_args)
        with session.database(wanted) as database:
            groups = [
                group.id
                for group in security_groups.list_all(database)
                if parsed_args.rule in (rule.id for rule in group.rules)
            ]
            security_groups.delete_rule(database, parsed_args.rule)
        _tell_daemons(wanted, groups, who_changed=[])
        print(f"security group rule {parsed_args.rule} is deleted")


class _Membership(Command):
    """A command about an instance and a group."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        _add_group(parser)
        parser.add_argument(
            "instance",
            metavar="INSTANCE",
            help="the instance, by hostname or uuid",
        )

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        from flatnet.db import security_groups

        wanted = session.settings(self.app_args)
        with session.database(wanted) as database:
            group = security_groups.get(database, parsed_args.group)
            self.change(
                database, group=group.id, instance=parsed_args.instance
            )
        _tell_daemons(wanted, [group.id], who_changed=None)

    def change(
        self, database: "Database", *, group: int, instance: str
    ) -> None:
        """Write the rows."""
        raise NotImplementedError


class AddInstance(_Membership):
    """Put an instance into a security group."""

    def change(
        self, database: "Database", *, group: int, instance: str
    ) -> None:
        from flatnet.db import security_groups

        security_groups.add_instance(database, group=group, instance=instance)


class RemoveInstance(_Membership):
    """Take an instance out of a security group."""

    def change(
        self, database: "Database", *, group: int, instance: str
    ) -> None:
        from flatnet.db import security_groups

        security_groups.remove_instance(
            database, group=group, instance=instance
        )


def _add_group(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "group", metavar="NAME-OR-ID", help="the security group"
    )


def _identifier(text: str) -> int:
    """The id of a row, for argparse."""
    value = int(text)
    if not 0 < value <= _ID_LAST:
        raise ValueError(text)
    return value


_identifier.__name__ = "id"


def _family(text: str) -> int:
    """An ethertype, for argparse."""
    try:
        return _FAMILIES[text.lower()]
    except KeyError as error:
        raise ValueError(text) from error


_family.__name__ = "ethertype"


def _tell_daemons(
    wanted: Settings, groups: list[int], *, who_changed: list[str] | None
) -> None:
    """Ask for a pass everywhere; without it the next one comes anyway.

    :param who_changed: nobody where it is rules, none for any member
    """
    from flatnet.cmd.cli.broker import network_api

    try:
        with network_api() as api:
            api.security_groups_changed(
                {}, group_ids=groups, instance_ids=who_changed
            )
    except FlatnetError as error:
        warn(
            f"the change is written, but hosts may follow only within "
            f"{wanted.reconcile_interval} s: {error}"
        )


def _group_row(group: SecurityGroup) -> tuple[Any, ...]:
    """What a group is; a rule that lets nothing in says why (`fault`)."""
    rules = [
        {**asdict(each), "fault": grouprules.fault(each)}
        for each in group.rules
    ]
    return group.id, group.name, Lines(rules)


def _rule_row(rule: SecurityRule) -> tuple[Any, ...]:
    return tuple(getattr(rule, column) for column in RULE_COLUMNS)
