"""`flatnet import nova`: the rows of a nova-network, taken over."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from flatnet.cmd.cli import session
from flatnet.cmd.cli.base import Lister, Unconfirmed

if TYPE_CHECKING:
    from flatnet.config.settings import Settings
    from flatnet.db.nova.import_draft import Report
    from flatnet.db.nova.source import Nova

Table = tuple[tuple[str, ...], list[tuple[Any, ...]]]


class Import(Lister):
    """Take over networks, addresses and security groups of nova-network.

    nova's database is only read.  Without --yes it shows what would be kept,
    and asks where somebody can answer.  What is refused keeps nothing else
    back, and has a line of its own with the reason.
    """

    columns = ("table", "kept", "new", "refused", "reason")
    _wanted: "Settings"
    _nova: "Nova"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--connection",
            metavar="URL",
            required=True,
            help="nova's database, such as mysql://user:password@host/nova",
        )
        parser.add_argument(
            "--yes", action="store_true", help="do it, and do not ask"
        )

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Show it, and do it where that is wanted."""
        status = super().run(parsed_args)
        if parsed_args.yes:
            return status
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise Unconfirmed("nothing was changed: with --yes it is done")
        print("Import this? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise Unconfirmed("nothing was changed")
        parsed_args.yes = True
        return super().run(parsed_args)

    def take_action(self, parsed_args: argparse.Namespace) -> Table:
        from flatnet.db.nova import importing, source

        if not hasattr(self, "_nova"):
            self._wanted = session.settings(self.app_args)
            # As root yet, for it may be a file of nova's.
            self._nova = source.read(parsed_args.connection)
        act = importing.take_over if parsed_args.yes else importing.preview
        with session.database(self._wanted) as database:
            report = act(database, self._nova, dhcp=self._wanted.dhcp)
        return self.columns, _rows(report)


def _rows(report: "Report") -> list[tuple[Any, ...]]:
    """A line for each table, then one for each thing that is refused."""
    from flatnet.db.nova.import_draft import TABLES

    counted = [
        (
            table,
            report.kept[table],
            report.new[table],
            sum(each.table == table for each in report.refused),
            None,
        )
        for table in TABLES
    ]
    return [
        *counted,
        *((each.table, 0, 0, 1, each.reason) for each in report.refused),
    ]
