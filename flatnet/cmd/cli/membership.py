"""The security groups of an instance: one more, one less, or these."""

import argparse
from typing import TYPE_CHECKING

from flatnet.cmd.cli import session
from flatnet.cmd.cli.announcement import tell_daemons
from flatnet.cmd.cli.base import Command, warn
from flatnet.cmd.cli.security_group import add_group
from flatnet.config.settings import Settings

if TYPE_CHECKING:
    from flatnet.db.memberships import Regrouped

# What reaches an instance that is in no group, by allow_same_net_traffic.
_WITHOUT_A_GROUP = {
    True: "nothing filters its traffic any more",
    False: "nothing reaches it any more but answers to what it began",
}


class _Membership(Command):
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

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        from flatnet.db import memberships

        wanted = session.settings(self.app_args)
        with session.database(wanted) as database:
            done = memberships.add_instance(
                database,
                group=parsed_args.group,
                instance=parsed_args.instance,
            )
        tell(wanted, done)


class RemoveInstance(_Membership):
    """Take an instance out of a security group."""

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        from flatnet.db import memberships

        wanted = session.settings(self.app_args)
        with session.database(wanted) as database:
            done = memberships.remove_instance(
                database,
                group=parsed_args.group,
                instance=parsed_args.instance,
            )
        tell(wanted, done)


def tell(wanted: Settings, done: "Regrouped") -> None:
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
