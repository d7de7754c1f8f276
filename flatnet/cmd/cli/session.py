"""The options, the database and the broker, for as long as a command runs."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from flatnet import __version__
from flatnet.cmd.cli.base import DEFAULT_CONFIG_FILE, PROGRAM
from flatnet.cmd.statepath import become_user_of
from flatnet.config.settings import Settings
from flatnet.exceptions import ConfigurationError, DatabaseUnavailable

if TYPE_CHECKING:
    from flatnet.db.engine import Database


def settings(options: argparse.Namespace) -> Settings:
    """Return the settings of the files that the command line names.

    :param options: with `config_file` and `config_dir`, lists of paths
    :raises ConfigurationError: one line naming file, option and value
    """
    from oslo_config import cfg

    from flatnet.cmd import configfiles
    from flatnet.config import conf

    conf.register(cfg.CONF)
    arguments = [
        *(f"--config-file={path}" for path in options.config_file),
        *(f"--config-dir={path}" for path in options.config_dir),
    ]
    try:
        default = [*filter(_exists, [DEFAULT_CONFIG_FILE])]
        cfg.CONF(
            arguments,
            project=PROGRAM,
            prog=PROGRAM,
            version=__version__,
            default_config_files=default,
            default_config_dirs=[],
        )
        # What the daemon would not start with is not worked with either.
        configfiles.check_names(
            configfiles.files_of(
                options.config_dir, options.config_file or default
            )
        )
    except (cfg.Error, OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(str(error)) from error
    return conf.settings(cfg.CONF)


@contextmanager
def any_database(wanted: Settings) -> Iterator["Database"]:
    """Open the database, whatever its revision, and close it.

    :raises DatabaseUnavailable: it does not answer
    """
    from flatnet.db.engine import Database

    database = Database(wanted.connection)
    try:
        yield database
    except DatabaseUnavailable as error:
        raise DatabaseUnavailable(
            f"{error}; is it running, and is [database] connection right?"
        ) from error
    finally:
        database.close()


@contextmanager
def database(wanted: Settings) -> Iterator["Database"]:
    """Open the database, and close it.

    :raises DatabaseUnavailable: it does not answer
    :raises SchemaMismatch: it is at another revision
    """
    from flatnet.db import revision

    with any_database(wanted) as found:
        if found.file:
            become_user_of(found.file, user=wanted.manager_user)
        revision.check_revision(found)
        yield found


def _exists(path: str) -> bool:
    return Path(path).exists()
