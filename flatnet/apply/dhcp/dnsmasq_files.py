"""The files of this host's dnsmasqs: written where they differ, removed.

A full disk costs what has just changed, and nobody else: each file is
replaced whole, so that those that are there say what was true before.
"""

import os
from collections.abc import Mapping

from flatnet.apply import files
from flatnet.apply.dhcp import config as dnsmasq_config
from flatnet.apply.dhcp import dnsmasq, elsewhere
from flatnet.apply.dhcp.texts import Texts
from flatnet.state.changes import Changes, Failure
from flatnet.state.effects import Effect, Subject, Surface, Verb
from flatnet.state.plan import DhcpServer

_KINDS = (
    *("hosts", "names", "opts", "macs", "pid", "leases", "reload"),
    *(elsewhere.KIND, elsewhere.MARK),
    dnsmasq_config.REFUSED,
)
# What does not depend on who is served.
_CONSTANT = {"macs": dnsmasq.octets()}


def written(server: DhcpServer, texts: Texts, networks_path: str) -> Changes:
    """Write what differs, as far as there is room.

    A mark stands from before the first file until somebody has had the
    server read them.

    :raises OSError: it cannot, and there are no earlier ones
    :raises HostSetupError: as for `Texts.of`
    """
    files.make_readable_directory(networks_path)
    wanted = {
        dnsmasq.path(networks_path, server.bridge, kind): text
        for kind, text in {**texts.of(server), **_CONSTANT}.items()
    }
    changed = [path for path in wanted if not files.holds(path, wanted[path])]
    try:
        if changed:
            files.mark(dnsmasq.path(networks_path, server.bridge, "reload"))
        for path in changed:
            files.replace(path, wanted[path])
    except OSError as error:
        if not all(map(os.path.exists, wanted)):
            raise
        text = (
            f"its files cannot be written: {error.strerror}; who was known "
            f"before is served on: make room in {networks_path}"
        )
        return Changes(
            failures=(Failure(Subject(Surface.DHCP, server.bridge), text),)
        )
    return Changes(
        tuple(
            Effect(Surface.FILE, Verb.WRITTEN, os.path.basename(path))
            for path in changed
        )
    )


def remove_files(
    planned: set[str], used: Mapping[str, str], networks_path: str
) -> Changes:
    """Remove the files of bridges that have left the plan.

    What a crash left of a file that was being written goes too, and so do
    copies of the admin's file.  `used` are the bridges that are served now,
    with the name of the copy that each was given.
    """
    made = []
    present = os.listdir(networks_path) if os.path.isdir(networks_path) else []
    for name in sorted(present):
        bridge, _, kind = name.removeprefix("flatnet-").rpartition(".")
        is_copy = kind.startswith(dnsmasq_config.PREFIX)
        ours = name.startswith("flatnet-") and (kind in _KINDS or is_copy)
        stale = ours and (
            bridge not in planned
            or (is_copy and used.get(bridge, name) != name)
        )
        if stale or name.startswith(".flatnet-"):
            _remove(f"{networks_path}/{name}")
            made.append(Effect(Surface.FILE, Verb.REMOVED, name))
    return Changes(tuple(made))


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        elsewhere.remove(path)
    else:
        files.remove(path)
