"""Rows with defaults, so that a test names only what matters to it."""

from flatnet.cmd.planner import HostPlanner
from flatnet.config.settings import Settings
from flatnet.passes.reconciler import Reconciler
from flatnet.plan.kept_rows import Kept
from flatnet.state.plan import DhcpHost, DhcpServer
from flatnet.state.rows import Interface, NamedInstance, Network, Snapshot
from flatnet.state.scope import NOTHING


def network(**fields):
    """A network 10.0.0.0/24 on br100."""
    defaults = {
        "id": 1,
        "uuid": "11111111-1111-4111-8111-111111111111",
        "label": "private",
        "cidr": "10.0.0.0/24",
        "bridge": "br100",
        "broadcast": "10.0.0.255",
        "netmask": "255.255.255.0",
        "dhcp_start": "10.0.0.1",
    }
    return Network(**{**defaults, **fields})


def interface(number=1, **fields):
    """The interface of instance vm_<number>, address 10.0.0.<number+1>."""
    defaults = {
        "uuid": f"aaaaaa{number:02d}-aaaa-4aaa-8aaa-aaaaaaaaaaaa",
        "mac": f"fa:16:3e:00:00:{number:02x}",
        "network_id": 1,
        "instance_uuid": f"bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbb{number:02d}",
        "hostname": f"vm_{number}",
        "project_id": "blue",
        "addresses": (f"10.0.0.{number + 1}",),
    }
    return Interface(**{**defaults, **fields})


def snapshot(**fields):
    """A host whose bridge is 10.0.0.1, without instances."""
    defaults = {
        "host": "node1",
        "networks": (network(),),
        "host_addresses": ((1, "10.0.0.1"),),
    }
    if "named" not in fields:
        fields["named"] = named(fields.get("interfaces", ()))
    return Snapshot(**{**defaults, **fields})


def named(interfaces):
    """What networks know of the instances of some interfaces."""
    return tuple(
        NamedInstance(
            each.network_id,
            each.instance_uuid,
            each.hostname,
            each.instance_id,
            each.addresses[:1],
        )
        for each in interfaces
    )


def settings(**fields):
    """The defaults of the options, for host node1."""
    return Settings(**{"host": "node1", **fields})


def dhcp_server(**fields):
    """The server of 10.0.0.0/24 on br100, 10.0.0.1, that knows nobody."""
    defaults = {
        "bridge": "br100",
        "address": "10.0.0.1",
        "cidr": "10.0.0.0/24",
        "router": "10.0.0.1",
        "mtu": 1500,
        "lease_time": 86400,
    }
    return DhcpServer(**{**defaults, **fields})


def dhcp_host(mac, address, name=None, number=1):
    """The line of the hosts file of an interface."""
    of = interface(number)
    return DhcpHost(mac, address, of.uuid, of.instance_uuid, name)


class NoRows:
    """A host without instances, whose database takes everything."""

    def read(self, scope, before):
        return Kept()

    def record(self, rows, changes):
        return rows, NOTHING

    def swap(self, taken):
        return False

    def tell(self, state, reason):
        pass


def reconciling(applier, *, rows=None, options=None, interval=1000):
    """A reconciler on an applier, of a host without instances."""
    return Reconciler(
        rows=rows or NoRows(),
        planner=HostPlanner(options or settings()),
        applier=applier,
        interval=interval,
    )
