"""Whether somebody uses a port: what makes it too precious to be deleted.

The descriptor that QEMU holds of a tap, or the end of a pair that a container
has, are dead once the device is: only a restart of the guest helps.  None of
the signs depends on whether our own end is up, so that a port that was taken
down is still known to be in use.
"""

import contextlib
import errno
import re
from collections.abc import Iterator, Mapping
from itertools import chain

from flatnet.apply.link.device_reads import DUMP, Reads
from flatnet.apply.link.link import MARK, Link, read_link
from flatnet.apply.link.links import LinkPass, link_pass
from flatnet.apply.link.taps import is_open, opened
from flatnet.exceptions import HostSetupError
from flatnet.state.plan import Plan

_PORT_NAME = re.compile(r"tap[0-9a-f]{8}-[0-9a-f]{2}")


def is_used(found: LinkPass, link: Link) -> bool:
    """Whether a guest holds a port of ours, or has a carrier on it.

    :raises OSError, HostSetupError: it cannot be told
    """
    if link.carrier or link.away:
        return True
    if link.kind == "tun":
        return is_open(link.name)
    peer = found.by_index(link.peer) if link.peer else None
    return peer is not None and peer.up


@contextlib.contextmanager
def unused(found: LinkPass, link: Link) -> Iterator[bool]:
    """Whether nobody uses a port of ours; nobody opens a tap meanwhile.

    Of carriers Linux tells up to a second late: so it is asked.

    :raises OSError, HostSetupError: it cannot be told
    """
    link = _as_it_is(link)
    if link.kind != "tun" or link.carrier:
        yield not is_used(found, link)
        return
    with opened(link.name) as handle:
        yield handle is not None


def _as_it_is(link: Link) -> Link:
    """Return a link read anew; as it was, where it is gone by now."""
    try:
        return read_link(link.name)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
        return link


def check_not_emptied(plan: Plan, devices: Reads = DUMP) -> None:
    """Refuse a plan that has nothing to do with this host.

    A hostname that became another, an empty database after a failover or a
    typo in `host` all look like a host without instances.  So do hosts that
    are rid of the last one; but there a row says that it went.

    :raises HostSetupError: ports of ours are here and the plan knows none
    """
    there = devices.named()
    wanted = chain(plan.ports, plan.gone)
    planned = (there[name] for name in wanted if name in there)
    # Nearly always the first that one looks at.
    if any(each.ours and each.kind != "bridge" for each in planned):
        return
    links, known = _leading_to_instances(there), {*plan.ports, *plan.gone}
    # By these it is known whatever somebody has renamed it to.
    marks = {MARK + each.instance_uuid for each in plan.ports.values()}
    if not links or any(
        each.name in known or each.alias in marks for each in links
    ):
        return
    if known:
        with link_pass(devices) as found:
            if not any(is_used(found, link) for link in links):
                return
    names = [link.name for link in links]
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    raise HostSetupError(
        f"the database knows none of the {len(names)} ports of instances "
        f"that are here ({shown}), so nothing is touched: is `host` "
        f"({plan.host}) the name in instances.host, and is it the right "
        "database?  If these ports are really to go, delete them: "
        f"ip link delete {names[0]}"
    )


def _leading_to_instances(there: Mapping[str, Link]) -> list[Link]:
    """The ports that flatnet made, and others' on bridges that it made.

    With vif_plug=external hypervisors attach devices that are theirs; they
    are known by their names.  Sorted by name.
    """
    bridges = {
        each.index
        for each in there.values()
        if each.kind == "bridge" and each.ours
    }
    return [
        each
        for name, each in sorted(there.items())
        if each.kind != "bridge"
        and (
            each.ours
            or (each.master in bridges and _PORT_NAME.fullmatch(name))
        )
    ]
