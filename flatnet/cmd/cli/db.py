"""`flatnet db ...`: the tables."""

import argparse

from flatnet.cmd.cli import session
from flatnet.cmd.cli.base import Command
from flatnet.cmd.statepath import become_user_of, prepare_database


class Upgrade(Command):
    """Bring the tables to the revision of this program.

    Again is a no-op.  It makes the file of a SQLite database that is not
    there; on another server the database must exist.
    """

    def take_action(
        self,
        parsed_args: argparse.Namespace,  # noqa: ARG002
    ) -> None:
        from flatnet.db import schema

        wanted = session.settings(self.app_args)
        with session.any_database(wanted) as database:
            if database.file:
                prepare_database(
                    database.file,
                    state_path=wanted.state_path,
                    user=wanted.manager_user,
                )
                become_user_of(database.file, user=wanted.manager_user)
            schema.upgrade(database)
            print(f"database {database.name} is up to date")


class Version(Command):
    """Check that the tables are at the revision of this program."""

    def take_action(
        self,
        parsed_args: argparse.Namespace,  # noqa: ARG002
    ) -> None:
        wanted = session.settings(self.app_args)
        with session.database(wanted) as database:
            print(f"database {database.name} is up to date")
