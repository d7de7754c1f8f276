"""Give up privilege for good, once the applier has been started.

The process that talks to the broker and the database keeps no capability,
whether or not it also becomes another user, and nothing that it executes
can get one back.
"""

import ctypes
import os
import pwd

from flatnet.exceptions import ConfigurationError

# linux/prctl.h, linux/capability.h
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522
_DAC_READ_SEARCH = 1 << 2


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    # effective, permitted, inheritable; two words each in version 3
    _fields_ = (("words", ctypes.c_uint32 * 6),)


def check_user(user: str) -> int:
    """Return the uid that the daemon is to have; before anything is touched.

    :param user: a name, or empty for who we are
    :raises ConfigurationError: there is no such user, we cannot become that
        one, or it is root, to whom files are open without any capability
    """
    try:
        uid = pwd.getpwnam(user).pw_uid if user else os.geteuid()
    except KeyError as error:
        raise ConfigurationError(
            f"manager_user = {user!r}: there is no such user; useradd "
            f"--system {user}, or name another"
        ) from error
    if uid == 0:
        raise ConfigurationError(
            f"manager_user = {user!r}: the daemon does not serve as root; "
            "name a user without privileges, such as flatnet (useradd "
            "--system flatnet)"
        )
    if os.geteuid() not in (0, uid):
        raise ConfigurationError(
            f"manager_user = {user!r}: only root can become that user; start "
            "flatnet-manager as root, or leave manager_user empty to stay "
            "who you are"
        )
    return uid


def drop_privilege(user: str) -> None:
    """Become `user` (empty: stay who we are) without any capability.

    :raises ConfigurationError: as for `check_user`, or we are root still
    """
    uid = check_user(user)
    if os.geteuid() != uid:
        entry = pwd.getpwnam(user)
        os.initgroups(user, entry.pw_gid)
        os.setgid(entry.pw_gid)
        os.setuid(uid)
        os.environ["HOME"] = entry.pw_dir
    if 0 in os.getresuid():
        raise ConfigurationError("the daemon is still root in part")
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    library.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = _Header(_CAPABILITY_VERSION_3, 0)
    if library.capset(ctypes.byref(header), ctypes.byref(_Sets())) != 0:
        raise OSError(ctypes.get_errno(), "capset refused")


def read_as_root() -> None:
    """Let who was root, and is somebody else for a while, read as root did.

    The program may lie below a directory that only root may enter.
    """
    library = ctypes.CDLL(None, use_errno=True)
    header = _Header(_CAPABILITY_VERSION_3, 0)
    sets = _Sets()
    if library.capget(ctypes.byref(header), ctypes.byref(sets)) != 0:
        raise OSError(ctypes.get_errno(), "capget refused")
    effective, permitted = 0, 1
    sets.words[effective] |= sets.words[permitted] & _DAC_READ_SEARCH
    if library.capset(ctypes.byref(header), ctypes.byref(sets)) != 0:
        raise OSError(ctypes.get_errno(), "capset refused")
