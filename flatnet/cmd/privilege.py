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


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    # effective, permitted, inheritable; two words each in version 3
    _fields_ = (("words", ctypes.c_uint32 * 6),)


def drop_privilege(user: str) -> None:
    """Become `user` (empty: stay who we are) without any capability.

    :raises ConfigurationError: there is no such user, or we may not
    """
    if user:
        _become(user)
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    library.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = _Header(_CAPABILITY_VERSION_3, 0)
    if library.capset(ctypes.byref(header), ctypes.byref(_Sets())) != 0:
        raise OSError(ctypes.get_errno(), "capset refused")


def _become(user: str) -> None:
    try:
        entry = pwd.getpwnam(user)
    except KeyError as error:
        raise ConfigurationError(
            f"manager_user = {user!r}: there is no such user"
        ) from error
    if os.geteuid() == entry.pw_uid:
        return
    try:
        os.initgroups(user, entry.pw_gid)
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    except PermissionError as error:
        raise ConfigurationError(
            f"manager_user = {user!r}: only root can become that user"
        ) from error
    os.environ["HOME"] = entry.pw_dir
