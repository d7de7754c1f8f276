"""`flatnet security group rule ...`: what is let through to members."""

import argparse
from typing import Any

from flatnet.cmd.cli import session
from flatnet.cmd.cli.announcement import tell_daemons
from flatnet.cmd.cli.base import Command, ShowOne
from flatnet.cmd.cli.security_group import add_group
from flatnet.state import grouprules
from flatnet.state.rows import SecurityRule

Answer = tuple[tuple[str, ...], tuple[Any, ...]]
RULE_COLUMNS = ("id", "protocol", "from_port", "to_port", "cidr", "group_id")
_FAMILIES = {"ipv4": 4, "ipv6": 6}
_ID_LAST = 2**31 - 1


class Create(ShowOne):
    """Let traffic to a group's members through.

    What is left out is any: protocol, ports, where it comes from, which is
    written as 0.0.0.0/0, or ::/0 for IPv6.
    """

    columns = RULE_COLUMNS

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_group(parser)
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
        tell_daemons(wanted, [group.id], who_changed=[])
        return self.columns, _rule_row(made)


class Delete(Command):
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
        tell_daemons(wanted, groups, who_changed=[])
        print(f"security group rule {parsed_args.rule} is deleted")


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


def _rule_row(rule: SecurityRule) -> tuple[Any, ...]:
    return tuple(getattr(rule, column) for column in RULE_COLUMNS)
