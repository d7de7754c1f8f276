"""flatnet-manager: options, applier, privilege, executor; in this order.

The order is the point.  The applier is started while we are privileged and
un-patched, then privilege goes, and only then is eventlet's patching done
and everything imported that talks to a network.
"""

import argparse
import errno
import fcntl
import logging
import os
import pwd
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import IO

from oslo_config import cfg
from oslo_log import log

from flatnet import __version__, stderr
from flatnet.apply.applier_client import ApplierProcess, start_applier
from flatnet.cmd import configfiles, device_options
from flatnet.cmd.privilege import check_user, drop_privilege
from flatnet.cmd.statepath import make_state_directory, mend_database
from flatnet.config import conf
from flatnet.config.settings import Settings
from flatnet.exceptions import ConfigurationError, FlatnetError

PROGRAM = "flatnet-manager"
DEFAULT_CONFIG_FILE = "/etc/flatnet/flatnet.conf"
# Libraries whose every step is not worth a line of an operator's log.  The
# pool warns of each answer that waits for one of its connections, as is meant.
QUIET = (
    "alembic=WARN",
    "oslo_service=WARN",
    "stevedore=CRITICAL",
    "oslo.messaging._drivers.pool=ERROR",
)
LOG = logging.getLogger("flatnet")


def main() -> int:
    """Run until a signal; return the exit status."""
    # What a library thinks of its own future is no business of operators.
    warnings.simplefilter("ignore")
    errors = stderr.take_over()
    try:
        return _run(_settings(sys.argv[1:]), errors)
    except FlatnetError as error:
        failure = error
    # Outside of the handler, where oslo.log would add the exception again.
    print(f"{PROGRAM}: {failure}", file=sys.stderr)
    if not _logs_to_stderr():
        LOG.error("%s", failure)
    LOG.debug("the cause", exc_info=failure)
    return 1


def _logs_to_stderr() -> bool:
    """Whether whoever reads our stderr reads our log there anyway."""
    handlers = logging.getLogger().handlers
    return all(
        getattr(handler, "stream", None) is sys.stderr for handler in handlers
    )


def _settings(arguments: list[str]) -> Settings:
    conf.register(cfg.CONF)
    conf.register_cli(cfg.CONF)
    log.register_options(cfg.CONF)
    log.set_defaults(
        default_log_levels=[*log.get_default_log_levels(), *QUIET]
    )
    cfg.CONF.set_default("use_stderr", True)
    default = _default_files()
    files = _config_files(arguments, default)
    try:
        with configfiles.complaints(files):
            cfg.CONF(
                arguments,
                project="flatnet",
                prog=PROGRAM,
                version=__version__,
                default_config_files=default,
                default_config_dirs=[],
            )
        settings = conf.settings(cfg.CONF)
        conf.check_users(cfg.CONF, settings)
        settings = device_options.resolved(cfg.CONF, settings)
    except cfg.Error as error:
        raise configfiles.explained(str(error), files) from error
    configfiles.check_names(files)
    log.setup(cfg.CONF, "flatnet")
    return settings


def _default_files() -> list[str]:
    return [DEFAULT_CONFIG_FILE] if Path(DEFAULT_CONFIG_FILE).exists() else []


def _config_files(arguments: list[str], default: list[str]) -> list[str]:
    """The files that will be read, for what is said about them."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config-file", action="append", default=[])
    parser.add_argument("--config-dir", action="append", default=[])
    given, _ = parser.parse_known_args(arguments)
    return configfiles.files_of(given.config_dir, given.config_file or default)


def _run(settings: Settings, errors: stderr.Stderr) -> int:
    check_user(settings.manager_user)
    make_state_directory(settings.state_path, _group(settings.manager_user))
    if settings.manager_user:
        mend_database(
            settings.connection,
            state_path=settings.state_path,
            user=settings.manager_user,
        )
    with _only_one(settings):
        started = start_applier(
            networks_path=settings.networks_path,
            dnsmasq_config_file=settings.dnsmasq_config_file,
            top_regex=settings.iptables_top_regex,
            bottom_regex=settings.iptables_bottom_regex,
        )
        drop_privilege(settings.manager_user)
        errors.start()
        return _serve(settings, started)


def _group(user: str) -> int:
    return pwd.getpwnam(user).pw_gid if user else os.getegid()


def _serve(settings: Settings, started: ApplierProcess) -> int:
    if settings.executor == "eventlet":
        import eventlet

        # Else psycopg2 is imported, with 5 MB of libraries, to be patched.
        is_postgresql = settings.connection.startswith("postgresql")
        eventlet.monkey_patch(all=True, psycopg=is_postgresql)
    # Not before the patching: these import what talks to a network.
    daemon = import_module("flatnet.cmd.daemon")
    status: int = daemon.Daemon(cfg.CONF, settings, started).run()
    return status


def _only_one(settings: Settings) -> IO[bytes]:
    """Hold the lock of this state_path, or say that somebody does."""
    path = os.path.join(settings.state_path, f"{PROGRAM}.lock")
    # What others may have put there is neither followed nor changed.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        handle = os.open(path, flags, 0o600)
        lock = os.fdopen(handle, "rb", buffering=0)
        if os.fstat(handle).st_uid != os.geteuid():
            raise PermissionError(errno.EACCES, "it belongs to somebody else")
        # Whoever can read a file can lock it, and so keep us from starting.
        os.fchmod(handle, 0o600)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be opened: {error.strerror}; remove it if it is "
            "not flatnet's, or start flatnet-manager as who it belongs to"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise ConfigurationError(
            f"another flatnet-manager is running with state_path = "
            f"{settings.state_path}"
        ) from error
    return lock


if __name__ == "__main__":
    sys.exit(main())
