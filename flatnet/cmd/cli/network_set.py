"""`flatnet network set`: who serves a network's guests."""

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flatnet.cmd.cli import session
from flatnet.cmd.cli.base import Command, warn
from flatnet.cmd.cli.network import add_modes, add_network
from flatnet.config.settings import Settings
from flatnet.exceptions import FlatnetError
from flatnet.state.rows import Network

if TYPE_CHECKING:
    from flatnet.db.engine import Database


class Set(Command):
    """Set which host serves a network, or whether one host does for all.

    With --host the network's address, DHCP, DNS and gateway move there, and
    guests keep what they have.  How a network is served is only changed while
    nobody is in it.
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_network(parser)
        wanted = parser.add_mutually_exclusive_group(required=True)
        wanted.add_argument(
            "--host", help="the one host that serves all guests from now on"
        )
        add_modes(wanted)

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        from flatnet import reports

        wanted = session.settings(self.app_args)
        host, former = parsed_args.host, None
        with session.database(wanted) as database:
            if host is None:
                network = _set_mode(database, parsed_args)
            else:
                reports.check_heard(database, host, wanted.reconcile_interval)
                network, former = _moved(database, parsed_args.network, host)
            # Who has the address gives it up before another takes it.
            behind = _followed(database, network, wanted, (former, host))
        for line in behind:
            warn(
                f"it is written, but not followed yet, which is within "
                f"{wanted.reconcile_interval} s of a daemon: {line}"
            )
        print(f"network {network.label}: {_told(network)}")


def _set_mode(database: "Database", given: argparse.Namespace) -> Network:
    from flatnet.db import networks, server_roles

    network = networks.get(database, given.network)
    return server_roles.set_mode(
        database, network.uuid, multi_host=given.multi_host
    )


def _moved(
    database: "Database", name: str, host: str
) -> tuple[Network, str | None]:
    from flatnet.db import networks, server_roles

    network = networks.get(database, name)
    return server_roles.move(database, network.uuid, host)


def _followed(
    database: "Database",
    network: Network,
    wanted: Settings,
    hosts: Iterable[str | None],
) -> list[str]:
    """Have hosts follow in turn, and tell all others; return who has not."""
    from flatnet import reports
    from flatnet.cmd.cli.broker import network_api

    behind = []
    try:
        with network_api() as api:
            api.networks_changed({}, network_uuids=[network.uuid])
            for host in dict.fromkeys(filter(None, hosts)):
                try:
                    reports.check_heard(
                        database, host, wanted.reconcile_interval
                    )
                    api.reconcile({}, host=host)
                except FlatnetError as error:
                    behind.append(f"host {host}: {error}")
    except FlatnetError as error:
        behind.append(str(error))
    return behind


def _told(network: Network) -> str:
    if network.multi_host:
        return "each host serves its own guests"
    if network.host:
        return f"host {network.host} serves all guests"
    return "one host serves all guests: the first that finds it so"
