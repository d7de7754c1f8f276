"""`flatnet host ...`: compute nodes and their daemons."""

import argparse
from collections import Counter
from typing import TYPE_CHECKING, Any

from flatnet.cmd.cli import session
from flatnet.cmd.cli.base import Lines, Lister, Pairs, ShowOne
from flatnet.exceptions import HostNotFound

if TYPE_CHECKING:
    from flatnet.db.engine import Database

# A daemon reports once in every interval.
_MISSED_REPORTS = 3


class List(Lister):
    """List the hosts, with their instances and bridge addresses.

    A host is down if its daemon missed three reports.  One that instances
    name but that never reported is listed too.
    """

    columns = ("Host", "State", "Last seen", "Instances", "Bridge addresses")

    def take_action(
        self,
        parsed_args: argparse.Namespace,  # noqa: ARG002
    ) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        from flatnet.db import instances, services

        wanted = session.settings(self.app_args)
        patience = _MISSED_REPORTS * wanted.reconcile_interval
        with session.database(wanted) as database:
            reports = {each.host: each for each in services.list_all(database)}
            running = Counter(
                each.host for each in instances.list_all(database) if each.host
            )
            rows = []
            for host in sorted({*reports, *running}):
                report = reports.get(host)
                is_up = report and report.seconds_ago <= patience
                rows.append(
                    (
                        host,
                        "up" if is_up else "down",
                        report.last_seen_up if report else "never",
                        running[host],
                        Pairs(_bridge_addresses(database, host)),
                    )
                )
        return self.columns, rows


class Show(ShowOne):
    """Ask a host's daemon what it made of its last pass."""

    columns = (
        "host",
        "error",
        "failures",
        "warnings",
        "declined",
        "bridges",
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("host", metavar="HOST", help="the compute node")

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        from flatnet.db import services

        host = parsed_args.host
        with session.database(session.settings(self.app_args)) as database:
            if not services.exists(database, host):
                raise HostNotFound(
                    f"no flatnet-manager has ever reported from host {host}; "
                    "compare `flatnet host list`"
                )
        from flatnet.cmd.cli.broker import network_api

        with network_api() as api:
            state = api.get_host_state({}, host=host)
        return self.columns, (
            state["host"],
            state["error"],
            Lines(state["failures"]),
            Lines(state["warnings"]),
            Lines(state.get("declined", [])),
            Lines(state["bridges"]),
        )


def _bridge_addresses(database: "Database", host: str) -> dict[str, str]:
    """The address of each bridge of a host, by the bridge's name."""
    from flatnet.db import snapshot

    rows = snapshot.read(database, host)
    bridges = {network.id: network.bridge for network in rows.networks}
    return {
        bridges[network_id]: address
        for network_id, address in rows.host_addresses
    }
