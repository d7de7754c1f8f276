"""`flatnet host ...`: compute nodes and their daemons."""

import argparse
from collections import Counter
from typing import TYPE_CHECKING, Any

from flatnet.cmd.cli import session
from flatnet.cmd.cli.base import Lines, Lister, Pairs, ShowOne
from flatnet.plan.conditions import host_condition

if TYPE_CHECKING:
    from flatnet.db.engine import Database
    from flatnet.rpc.client import NetworkAPI

# Seconds: it is answered at once, whatever else waits there, or never.
_PATIENCE = 10.0


class List(Lister):
    """List the hosts: in what state, with how many instances.

    A host is stale if its daemon has missed three reports.  One that
    instances name but that never reported is listed too.
    """

    columns = (
        *("host", "state", "reason"),
        *("seen_at", "addresses", "instances"),
    )

    def take_action(
        self,
        parsed_args: argparse.Namespace,  # noqa: ARG002
    ) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        from flatnet.db import instances, services

        wanted = session.settings(self.app_args)
        with session.database(wanted) as database:
            reports = {each.host: each for each in services.list_all(database)}
            running = Counter(
                each.host for each in instances.list_all(database) if each.host
            )
            rows = []
            for host in sorted({*reports, *running}):
                report = reports.get(host)
                rows.append(
                    (
                        host,
                        *host_condition(report, wanted.reconcile_interval),
                        report.last_seen_up if report else None,
                        Pairs(_bridge_addresses(database, host)),
                        running[host],
                    )
                )
        return self.columns, rows


class _State(ShowOne):
    """What a host's daemon answers about its host."""

    columns = (
        *("host", "state", "reason", "seen_at"),
        *("failures", "warnings", "declined", "fights"),
        *("calls", "ports", "bridges"),
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("host", metavar="HOST", help="the compute node")

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        from flatnet import reports

        host = parsed_args.host
        wanted = session.settings(self.app_args)
        interval = wanted.reconcile_interval
        with session.database(wanted) as database:
            reported = reports.check_heard(database, host, interval)
        state, reason = host_condition(reported, interval)
        from flatnet.cmd.cli.broker import network_api

        with network_api() as api:
            found = self.asked(api, host)
        return self.columns, (
            found["host"],
            found.get("state", state),
            found.get("error") or reason,
            reported.last_seen_up,
            Lines(found["failures"]),
            Lines(found["warnings"]),
            Lines(found.get("declined", [])),
            Lines(found.get("fights", [])),
            Pairs(found.get("calls", {})),
            Lines(found.get("ports", [])),
            Lines(found["bridges"]),
        )

    def asked(self, api: "NetworkAPI", host: str) -> dict[str, Any]:
        """Return the answer of the daemon of a host."""
        raise NotImplementedError


class Show(_State):
    """Ask a host's daemon what it made of its last pass."""

    def asked(self, api: "NetworkAPI", host: str) -> dict[str, Any]:
        """Return it as it is now."""
        return api.get_host_state({}, host=host, timeout=_PATIENCE)


class Reconcile(_State):
    """Have a host look at all rows and at itself now.

    After rows were written by SQL; it would within reconcile_interval.
    """

    def asked(self, api: "NetworkAPI", host: str) -> dict[str, Any]:
        """Return it after a pass over everything."""
        return api.reconcile({}, host=host)


def _bridge_addresses(database: "Database", host: str) -> dict[str, str]:
    """The address of each bridge of a host, by the bridge's name."""
    from flatnet.db import snapshot

    rows = snapshot.read(database, host)
    bridges = {network.id: network.bridge for network in rows.networks}
    return {
        bridges[network_id]: address
        for network_id, address in rows.host_addresses
    }
