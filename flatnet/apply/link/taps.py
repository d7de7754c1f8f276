"""Persistent taps, and who may open them.

A tap without an owner is anybody's who can open /dev/net/tun, which is all
users of a host with systemd's own rules: he speaks as the guest whose tap it
is.  So a tap gets its owner in the same breath as its name, before anybody
can see it.
"""

import contextlib
import errno
import fcntl
import grp
import os
import pwd
import struct
from collections.abc import Iterator

from flatnet.apply.link.link import NO_OPENER
from flatnet.exceptions import HostSetupError

DEVICE = "/dev/net/tun"
# From linux/if_tun.h.
_SET_IFF, _SET_PERSIST = 0x400454CA, 0x400454CB
_SET_OWNER, _SET_GROUP = 0x400454CC, 0x400454CE
_TAP, _NO_PACKET_INFO, _VNET_HEADER = 0x0002, 0x1000, 0x4000
_REQUEST = struct.Struct("16sH22x")
_NO_TUN = (errno.ENOENT, errno.ENODEV, errno.ENXIO)


def wanted_owner(owner: str | None, group: str | None) -> tuple[int, int]:
    """Return the (uid, gid) that the tap of these names is to have.

    NO_OPENER stands for none, of whom the kernel asks nothing.

    :raises HostSetupError: there is no such user or group
    """
    try:
        uid = pwd.getpwnam(owner).pw_uid if owner else NO_OPENER
        gid = grp.getgrnam(group).gr_gid if group else NO_OPENER
    except KeyError as error:
        raise HostSetupError(
            f"tap_owner or tap_group: {error.args[0]}; make it or correct "
            "the option"
        ) from error
    return uid, gid


def set_tap(name: str, opener: tuple[int, int]) -> bool:
    """Make a tap, or change who may open one; return whether it could be.

    It cannot where somebody holds it open.  Then nobody else can open it
    either, and it is for a later pass.  The kernel changes an owner and a
    group, and takes neither away: see `drop_tap`.

    :raises HostSetupError: there are no taps here
    :raises OSError: the kernel refuses
    """
    with opened(name) as handle:
        if handle is None:
            return False
        for number, value in zip(
            (_SET_OWNER, _SET_GROUP), opener, strict=True
        ):
            if value != NO_OPENER:
                fcntl.ioctl(handle, number, value)
        fcntl.ioctl(handle, _SET_PERSIST, 1)
    return True


def drop_tap(name: str) -> bool:
    """Remove a tap that nobody holds open; return whether it is gone."""
    with opened(name) as handle:
        if handle is None:
            return False
        fcntl.ioctl(handle, _SET_PERSIST, 0)
    return True


def is_open(name: str) -> bool:
    """Whether somebody holds an existing tap open."""
    with opened(name) as handle:
        return handle is None


def loses(there: tuple[int, int] | None, wanted: tuple[int, int]) -> bool:
    """Whether a tap has an owner or a group that it is to have no more."""
    return there is not None and any(
        new == NO_OPENER != old for old, new in zip(there, wanted, strict=True)
    )


@contextlib.contextmanager
def opened(name: str) -> Iterator[int | None]:
    """Open a tap, which makes it; none if somebody has it open.

    Nobody else can open it as long as we have it.

    :raises HostSetupError: there are no taps here
    :raises OSError: the kernel refuses
    """
    try:
        handle = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        if error.errno not in _NO_TUN:
            raise
        raise HostSetupError(
            f"{DEVICE} is missing: load the kernel module tun"
        ) from error
    try:
        flags = _TAP | _NO_PACKET_INFO | _VNET_HEADER
        fcntl.ioctl(handle, _SET_IFF, _REQUEST.pack(name.encode(), flags))
    except OSError as error:
        os.close(handle)
        if error.errno != errno.EBUSY:
            raise
        yield None
        return
    try:
        yield handle
    finally:
        os.close(handle)
