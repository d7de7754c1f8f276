"""A cloud of nova-network's: what can be kept, and what cannot."""

from datetime import UTC, datetime

VM_1, VM_2, UNKNOWN, DELETED = (
    f"{n:08x}-0000-4000-8000-000000000000" for n in (1, 2, 7, 9)
)
NUMBERS = {VM_1: 1, VM_2: 2, UNKNOWN: 7, DELETED: 9}
VIF_1, VIF_2, VIF_OLD, VIF_VLAN = (
    f"{n:08x}-aaaa-4aaa-8aaa-000000000000" for n in (1, 2, 7, 30)
)
NETWORK = "5b3f1f2e-7c0e-4f5e-8f3e-1b7f4b0c7e11"
SECOND = "5b3f1f2e-7c0e-4f5e-8f3e-1b7f4b0c7e22"
FREE = {"reserved": False, "allocated": False, "leased": False}
RESERVED = {"reserved": True}
_USED = datetime(2019, 11, 5, 12, 30, tzinfo=UTC)


def fill(nova):
    """Write the cloud into a database of nova's."""
    for uuid, number in NUMBERS.items():
        nova.put(
            "instances",
            {"id": number, "uuid": uuid, "hostname": f"vm_{number}"},
            deleted=uuid == DELETED,
        )
    nova.put("networks", *_networks())
    nova.put("networks", a_network(9, label="gone"), deleted=True)
    nova.put("virtual_interfaces", *_interfaces())
    gone = interface(8, NETWORK, DELETED)
    nova.put("virtual_interfaces", gone, deleted=True)
    nova.put("fixed_ips", *_addresses())
    gone = {**address(1, 3), "id": 4000, **held(8, DELETED)}
    nova.put("fixed_ips", gone, deleted=True)
    nova.put("floating_ips", *_floating())
    nova.put("security_groups", *(group(4, "default"), group(5, "web")))
    nova.put("security_groups", group(6, "old"), deleted=True)
    nova.put("security_group_rules", *_rules())
    nova.put(
        "security_group_instance_association",
        {"id": 1, "security_group_id": 4, "instance": VM_1},
        {"id": 2, "security_group_id": 5, "instance": VM_1},
        {"id": 3, "security_group_id": 4, "instance": VM_2},
        {"id": 4, "security_group_id": 4, "instance": UNKNOWN},
    )


def a_network(number, **values):
    """A row of a multi-host network, 10.20.(NUMBER - 1).0/24 on br100."""
    prefix = f"10.20.{number - 1}."
    return {
        "id": number,
        "uuid": f"{number:08x}-bbbb-4bbb-8bbb-00000000000a",
        "label": f"net{number}",
        "cidr": f"{prefix}0/24",
        "bridge": "br100",
        "bridge_interface": "eth1",
        "multi_host": True,
        "gateway": f"{prefix}1",
        "broadcast": f"{prefix}255",
        "netmask": "255.255.255.0",
        "dhcp_start": f"{prefix}3",
        "dns1": "8.8.4.4",
        "injected": False,
        "dhcp_server": f"{prefix}1",
        "enable_dhcp": True,
        **values,
    }


def address(network, number, **values):
    """A row of an address of a network; whatever is not given, a free one."""
    return {
        "id": network * 1000 + number,
        "address": f"10.20.{network - 1}.{number}",
        "network_id": network,
        **FREE,
        **values,
    }


def held(interface_id, instance):
    """What an allocated address has."""
    return {
        "allocated": True,
        "virtual_interface_id": interface_id,
        "instance": instance,
    }


def interface(row_id, uuid, instance, network_id=1):
    return {
        "id": row_id,
        "uuid": uuid,
        "network_id": network_id,
        "address": f"fa:16:3e:00:00:{row_id:02x}",
        "instance": instance,
    }


def group(row_id, name):
    return {"id": row_id, "name": name, "project_id": "demo"}


def _networks():
    inside = {"cidr": "10.20.0.128/25", "gateway": None, "dhcp_server": None}
    return (
        a_network(1, label="private", uuid=NETWORK),
        a_network(2, label="second", uuid=SECOND),
        a_network(3, label="tenant", vlan=102, bridge="br102"),
        a_network(4, label="inside", **inside),
    )


def _interfaces():
    return (
        interface(1, VIF_1, VM_1),
        interface(2, VIF_2, VM_2),
        interface(7, VIF_OLD, UNKNOWN),
        interface(30, VIF_VLAN, VM_1, network_id=3),
    )


def _addresses():
    """Every address has a row, as nova makes them."""
    known = {
        **dict.fromkeys((0, 1, 9, 255), RESERVED),
        2: {"host": "node1"},
        3: {**held(1, VM_1), "leased": True},
        4: held(2, VM_2),
        5: {"leased": True, "instance": VM_2},
        6: {"updated_at": _USED},
        7: held(7, UNKNOWN),
        8: {"host": "node1"},
    }
    return (
        *(address(1, n, **known.get(n, {})) for n in range(256)),
        address(3, 3, **held(30, VM_1)),
        address(3, 4),
    )


def _floating():
    common = {"pool": "public", "interface": "eth0", "auto_assigned": False}
    led = {**common, "project_id": "demo", "host": "node1"}
    return (
        {**led, "id": 1, "address": "192.0.2.10", "fixed_ip_id": 1003},
        {**common, "id": 2, "address": "192.0.2.11"},
        {**led, "id": 3, "address": "192.0.2.12", "fixed_ip_id": 1007},
        {**common, "id": 4, "address": "10.20.0.200"},
    )


def _rules():
    def rule(row_id, parent, protocol=None, *ports, cidr=None, source=None):
        first, last = ports or (None, None)
        return {
            "id": row_id,
            "parent_group_id": parent,
            "protocol": protocol,
            "from_port": first,
            "to_port": last,
            "cidr": cidr,
            "group_id": source,
        }

    return (
        rule(1, 5, "TCP", 80, 81, cidr="0.0.0.0/0"),
        rule(2, 5, "icmp", -1, -1, cidr="10.0.0.0/8"),
        rule(3, 4, source=4),
        rule(4, 4, "tcp", 22, 22),
        rule(5, 4, "tcp", 1, 65535, source=6),
        rule(6, 6, "tcp", 1, 65535, cidr="0.0.0.0/0"),
    )
