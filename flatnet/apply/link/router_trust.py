"""The host's own router, which it goes on believing once it routes itself.

`net.ipv6.conf.all.forwarding` makes a host deaf to router advertisements on
devices whose `accept_ra` is 1: it would lose its default route at once and its
addresses with time.  With 2 a device heeds them all the same.  So what is 1 is
made 2 first, where the device does not forward yet; one that others have made
a router of is as they want it.  `default` is for devices that are yet to come.
"""

from collections.abc import Iterator
from pathlib import Path

from flatnet.apply.files import read_setting, write_setting

FORWARDING = "net.ipv6.conf.all.forwarding"
_DEVICES = Path("/proc/sys/net/ipv6/conf")
# What looks like a device there and says nothing of any.
_ALL = "all"


def keep_routers() -> Iterator[tuple[str, str]]:
    """Have the host believe its routers; yield each setting and its value.

    :raises OSError: a setting cannot be written
    """
    for directory in sorted(_DEVICES.iterdir()):
        name = directory.name
        if name == _ALL or not _is_host(directory):
            continue
        write_setting(directory / "accept_ra", "2")
        yield f"net.ipv6.conf.{name}.accept_ra", "2"


def _is_host(device: Path) -> bool:
    """Whether a device heeds routers, and would not as one of a router."""
    try:
        return (
            read_setting(device / "accept_ra") == "1"
            and read_setting(device / "forwarding") == "0"
        )
    except OSError:
        # It has gone meanwhile.
        return False
