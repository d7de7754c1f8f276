"""Whether anything of DHCP servers is another than it was.

Who ends is told by a pidfd, who was stopped is found by a probe, and so is
who wrote files; a pass sees that earlier, by stamps.

Given up: a file that is written in place without another size, within the
milliseconds of the file system's clock after the write before; and that a
directory above is closed to dnsmasq.  Whole passes see both.
"""

import os
from collections.abc import Iterable

from flatnet.apply.dhcp import dnsmasq
from flatnet.apply.dhcp.daemons import Running
from flatnet.apply.dhcp.elsewhere import MARK
from flatnet.apply.files import stamp
from flatnet.state.plan import DhcpServer


def stamps(
    servers: Iterable[DhcpServer],
    known: Running,
    networks_path: str,
    config_file: str,
) -> object:
    """Return what is the same as long as nobody wrote what a pass looks at.

    That is which servers run, their files, the marks of those that are to
    read them again, what lies beside them and the admin's own file.  Nothing
    is the same while names wait until they may be read.
    """
    return (
        known.find(networks_path),
        known.files(),
        stamp(networks_path),
        stamp(config_file),
        [
            (
                stamp(dnsmasq.path(networks_path, each.bridge, "leases")),
                os.path.lexists(
                    dnsmasq.path(networks_path, each.bridge, "reload")
                ),
                _waits(dnsmasq.path(networks_path, each.bridge, MARK)),
            )
            for each in servers
        ],
    )


def _waits(mark: str) -> object:
    return object() if os.path.lexists(mark) else None
