"""A host with filtered guests 1 and 2, and what becomes of their ports."""

from dataclasses import replace

from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.host import HostPaths, Task, Tools, apply_task
from flatnet.apply.worker_cache import WorkerCache
from flatnet.state.rows import SecurityGroup, SecurityRule
from tests.builders import interface, network, settings, snapshot
from tests.planned import host_plan, in_groups

OPTIONS = settings(
    dhcp_domain="novalocal",
    public_interface="lo",
    allow_same_net_traffic=False,
)
RULES = (
    SecurityRule(1, "tcp", 22, 22, "0.0.0.0/0"),
    SecurityRule(2, "udp", 53, 60, None, 7),
)
PORTS = tuple(f"tapaaaaaa0{number}-aa" for number in range(1, 4))


def guest(number, *, group=1, **fields):
    return interface(number, security_group_ids=(group,), **fields)


def plan(*numbers, **fields):
    """Guests 1 and 2 are on br100, and 3 is, or is on a bridge of its own."""
    rows = snapshot(
        networks=(network(enable_dhcp=False),),
        interfaces=tuple(map(guest, numbers)),
        security_groups=(SecurityGroup(1, "web", RULES),),
        members=in_groups({7: ("10.0.0.9",)}),
    )
    return host_plan(replace(rows, **fields), OPTIONS, {})


def plan_of_groups(*numbers, rules=RULES):
    """Each guest is in a group of its own, with rules of its own."""
    return plan(
        interfaces=tuple(guest(each, group=each) for each in numbers),
        security_groups=tuple(
            SecurityGroup(each, "web", rules) for each in numbers
        ),
    )


BOTH, ALL = plan(1, 2), plan(1, 2, 3)
ELSEWHERE = plan(
    networks=(
        network(enable_dhcp=False),
        network(
            id=2,
            uuid="22222222-2222-4222-8222-222222222222",
            label="second",
            cidr="10.1.0.0/24",
            broadcast="10.1.0.255",
            bridge="br200",
            dhcp_start="10.1.0.2",
            enable_dhcp=False,
        ),
    ),
    host_addresses=((1, "10.0.0.1"), (2, "10.1.0.1")),
    interfaces=(
        guest(1),
        guest(2),
        guest(3, network_id=2, addresses=("10.1.0.4",)),
    ),
)


def applier(namespace, directory):
    """Return a function that applies a plan here and returns the changes.

    It calls `before` first, in the fork that does the work.
    """

    def once(wanted, before=lambda: None):
        def here():
            before()
            with Session() as session:
                paths = HostPaths(str(directory))
                return apply_task(
                    Task(wanted),
                    Tools(paths, session, WorkerCache(session.proven)),
                ).changes

        return namespace.call(here)

    return once


def up(namespace):
    """The ports of bridges that are up, sorted."""
    return tuple(
        sorted(
            link["ifname"]
            for link in namespace.json("ip", "-j", "link")
            if link.get("master") and "UP" in link["flags"]
        )
    )
