"""`flatnet db ...`: the tables."""

import argparse
import contextlib
import os
import pwd

from flatnet.cmd.cli import session
from flatnet.cmd.cli.base import Command


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
            schema.upgrade(database)
            if database.file:
                _hand_over(database.file, wanted.manager_user)
            print(f"database {database.name} is up to date")


def _hand_over(path: str, user: str) -> None:
    """Let the daemon write to a file that root has made for it.

    Where the user does not exist yet, the daemon says so at its start.
    """
    if os.geteuid() != 0 or not user or os.stat(path).st_uid != 0:
        return
    with contextlib.suppress(KeyError):
        entry = pwd.getpwnam(user)
        os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)


class Version(Command):
    """Check that the tables are at the revision of this program."""

    def take_action(
        self,
        parsed_args: argparse.Namespace,  # noqa: ARG002
    ) -> None:
        wanted = session.settings(self.app_args)
        with session.database(wanted) as database:
            print(f"database {database.name} is up to date")
