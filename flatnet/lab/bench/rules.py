"""A rule of a group that many are in."""

import time

from flatnet.db import security_groups
from flatnet.lab.bench import rows
from flatnet.lab.bench.callers import NETWORK
from flatnet.lab.bench.figure import FLOOR, Figure, Goal, Measured
from flatnet.lab.bench.site import Site

_FIRST_PORT = 20000


def add_rule(site: Site) -> Measured:
    """Write a rule, and call until the host says that it is in force."""
    times = []
    call = {"instance_id": site.first.uuid, "host": site.first.host}
    with site.spent() as spent:
        for number in range(site.effort.least):
            start = time.monotonic()
            made = security_groups.create_rule(
                site.database,
                group=site.group,
                protocol="tcp",
                from_port=_FIRST_PORT + number,
                to_port=_FIRST_PORT + number,
                cidr="0.0.0.0/0",
            )
            site.callers.one_by_one(
                NETWORK, "setup_networks_on_host", [call], seconds=0, least=1
            )
            times.append(time.monotonic() - start)
            security_groups.delete_rule(site.database, made.id)
    least = [{"name": rows.new_uuid()} for _ in range(site.effort.least)]
    floor = site.floor("add_rule", least).p50
    value = sorted(times)[len(times) // 2] * 1000
    return Measured(value, floor, spent.each(len(times)))


FIGURES = (Figure("a rule of a group", "ms", add_rule, (Goal(3, FLOOR),)),)
