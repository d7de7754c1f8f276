"""The security groups of an instance: one more, one less, or these."""

import abc
import argparse
from typing import TYPE_CHECKING

from flatnet.cmd.cli import session
from flatnet.cmd.cli.announcement import tell_daemons
from flatnet.cmd.cli.base import Command, warn
from flatnet.cmd.cli.security_group import add_group
from flatnet.config.settings import Settings

if TYPE_CHECKING:
    from flatnet.db.engine import Database
    from flatnet.db.memberships import Regrouped

# What reaches an instance that is in no group, by allow_same_net_traffic.
_WITHOUT_A_GROUP = {
    True: "nothing filters its traffic any more",
    False: "nothing reaches it any more but answers to what it began",
}


class Regrouping(Command):
    """A command that changes the groups of an instance."""

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        wanted = session.settings(self.app_args)
        with session.database(wanted) as database:
            done = self.regrouped(database, parsed_args)
        _tell(wanted, done)

    @abc.abstractmethod
    def regrouped(
        self, database: "Database", parsed_args: argparse.Namespace
    ) -> "Regrouped":
        """Write it, and return what became of the instance."""


class _Membership(Regrouping):
    """A command about an instance and a group."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_group(parser)
        parser.add_argument(
            "instance",
            metavar="INSTANCE",
            help="the instance, by hostname or uuid",
        )


class AddInstance(_Membership):
    """Put an instance into a security group."""

    def regrouped(
        self, database: "Database", parsed_args: argparse.Namespace
    ) -> "Regrouped":
        from flatnet.db import memberships

        return memberships.add_instance(
            database, group=parsed_args.group, instance=parsed_args.instance
        )


class RemoveInstance(_Membership):
    """Take an instance out of a security group."""

    def regrouped(
        self, database: "Database", parsed_args: argparse.Namespace
    ) -> "Regrouped":
        from flatnet.db import memberships

        return memberships.remove_instance(
            database, group=parsed_args.group, instance=parsed_args.instance
        )


def _tell(wanted: Settings, done: "Regrouped") -> None:
    """Tell daemons of an instance's groups, and people what they mean now."""
    if done.is_last_gone:
        flag = wanted.allow_same_net_traffic
        warn(
            f"instance {done.instance.hostname or done.instance.uuid} is in "
            f"no security group now: with allow_same_net_traffic = {flag} "
            f"{_WITHOUT_A_GROUP[flag]}"
        )
    if done.concerned:
        tell_daemons(wanted, done.concerned, who_changed=[done.instance.uuid])
