"""Where the daemon's user may keep files, and cannot replace the applier's.

`state_path` is root's, of the user's group, and sticky: what root or the
applier has put there stays, and the user may add files of his own.  A SQLite
database in it is root's and of that group too.  So both may open it: where
`fs.protected_regular` is 2, as in Debian, root may not open what is another's
in such a directory, and systemd, which gives all in there to root and that
group when it first sees the directory, changes nothing.
"""

import os
import pwd
import stat
from pathlib import Path

from flatnet.cmd.privilege import read_as_root
from flatnet.exceptions import ConfigurationError

_DIRECTORY_MODE = 0o1775
# Not for others: who can read a database can lock it.
_DATABASE_MODE = 0o660


def make_state_directory(path: str, group: int) -> None:
    """Make a directory, as root for members of `group`, if there is none.

    :raises ConfigurationError: it cannot be made
    """
    if os.path.isdir(path):
        return
    try:
        os.makedirs(path, mode=0o755)
        if os.geteuid() == 0:
            _open_to(path, group)
    except OSError as error:
        raise ConfigurationError(
            f"state_path = {path} cannot be made: {error.strerror}"
        ) from error


def prepare_database(path: str, *, state_path: str, user: str) -> None:
    """Make a SQLite file that root and `user` may write to, or mend it.

    Nothing happens if we are not root, for whom all is his own, or there is
    no such user yet: the daemon says so at its start.  What belongs to others
    than root is left to them; so is a link.

    :raises ConfigurationError: it cannot be made
    """
    try:
        group = pwd.getpwnam(user).pw_gid
    except KeyError:
        return
    if os.geteuid() != 0 or os.path.islink(path):
        return
    directory = str(Path(path).absolute().parent)
    make_state_directory(directory, group)
    try:
        if os.path.samefile(directory, _existing(state_path)):
            _mend(directory, group)
        _make_file(path, group)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be made: {error.strerror}"
        ) from error


def mend_database(connection: str, *, state_path: str, user: str) -> None:
    """Open a SQLite file to `user` that was made before there was one.

    :param connection: the URL of the database, of any kind
    :raises ConfigurationError: as for `prepare_database`
    """
    kind, _, rest = connection.partition("://")
    path = rest.partition("/")[2].partition("?")[0]
    # Not with SQLAlchemy, which is not to be imported by who is privileged.
    if kind.partition("+")[0] == "sqlite" and os.path.isfile(path):
        prepare_database(path, state_path=state_path, user=user)


def become_user_of(path: str, *, user: str) -> None:
    """Have root be `user` as far as files go, for a database of the daemon's.

    SQLite keeps files beside the database that belong to who made them, and
    where `fs.protected_regular` is 2 not even root may open those of the
    daemon.  Nothing happens to others than root, or where the database was
    not prepared for `user`.
    """
    try:
        entry, found = pwd.getpwnam(user), os.stat(path)
    except (KeyError, OSError):
        return
    is_shared = found.st_gid == entry.pw_gid and found.st_mode & stat.S_IWGRP
    if os.geteuid() == 0 and found.st_uid == 0 and is_shared:
        before = os.getgroups(), os.getegid()
        os.initgroups(user, entry.pw_gid)
        os.setegid(entry.pw_gid)
        os.seteuid(entry.pw_uid)
        if os.access(path, os.W_OK, effective_ids=True):
            read_as_root()
        else:
            # He does not get there, and so has made no files there.
            os.seteuid(0)
            os.setegid(before[1])
            os.setgroups(before[0])


def _existing(path: str) -> str:
    return path if os.path.isdir(path) else "/"


def _mend(directory: str, group: int) -> None:
    """Open a state_path that was made before its user was known."""
    found = os.stat(directory)
    is_writable = found.st_gid == group and found.st_mode & stat.S_IWGRP
    if found.st_uid == 0 and not is_writable:
        _open_to(directory, group)


def _open_to(directory: str, group: int) -> None:
    os.chown(directory, 0, group)
    os.chmod(directory, _DIRECTORY_MODE)


def _make_file(path: str, group: int) -> None:
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    if not os.path.exists(path):
        # An empty file is a database without tables.
        flags |= os.O_CREAT | os.O_EXCL
    handle = os.open(path, flags, 0o600)
    try:
        found = os.fstat(handle)
        # By another name it may be any file of root's.
        is_plain = stat.S_ISREG(found.st_mode) and found.st_nlink == 1
        if found.st_uid == 0 and is_plain:
            os.fchown(handle, 0, group)
            os.fchmod(handle, _DATABASE_MODE)
    finally:
        os.close(handle)
