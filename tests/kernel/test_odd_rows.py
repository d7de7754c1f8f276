"""A malformed row, on the real host: it is shut, its neighbour is served."""

import re
from dataclasses import replace

import pytest
from test_used_ports import hold

from flatnet.state.rows import SecurityGroup, SecurityRule
from tests.builders import interface, network, settings, snapshot
from tests.kernel.test_applier import with_applier
from tests.planned import host_plan, parted

GROUP = SecurityGroup(1, "w", (SecurityRule(1, "tcp", 22, 22, "0.0.0.0/0"),))
WELL = interface(2, security_group_ids=(1,))
SECOND = network(
    id=2,
    uuid="22222222-2222-4222-8222-222222222222",
    label="second",
    cidr="10.9.0.0/24",
    bridge="br200",
    enable_dhcp=False,
)
COMMENT = re.compile(r' -m comment --comment "[^"]*"')


@pytest.mark.parametrize(
    "fields",
    [
        {"instance_uuid": "a b"},
        {"uuid": "a b"},
        {"uuid": "x -j ACCEPT"},
        {"uuid": "x\n-F FORWARD"},
    ],
)
def test_an_odd_row_shuts_itself_alone(namespace, tmp_path, fields):
    odd = interface(1, security_group_ids=(1,), **fields)
    rows = snapshot(
        networks=(network(enable_dhcp=False),),
        interfaces=(odd, WELL),
        security_groups=(GROUP,),
    )
    plan = host_plan(rows, settings(allow_same_net_traffic=False), {})
    namespace.run("iptables -A FORWARD -s 192.0.2.7 -j DROP")

    def apply(applier, started):
        return applier.apply(parted(plan))

    changes = namespace.call(with_applier, apply, tmp_path)
    named = {uuid for each in changes.failures for uuid in each.instances}
    assert odd.instance_uuid in named
    assert WELL.instance_uuid not in named
    up = [each.name for each in changes.ports if each.found == "up"]
    assert up == [f"tap{WELL.uuid[:11]}"]
    rules = COMMENT.sub("", namespace.run("iptables-save")).split("\n")
    assert "-A FORWARD -s 192.0.2.7/32 -j DROP" in rules
    assert {"10.0.0.2", "10.0.0.3"} <= members(namespace, "flatnet-filtered4")
    # What its group lets in is for its neighbour alone.
    assert members(namespace, "flatnet-p4-6") == {"10.0.0.3"}


def members(namespace, name):
    listed = namespace.run("ipset", "list", name)
    return set(listed.partition("Members:\n")[2].split())


@pytest.mark.parametrize(
    "fields",
    [
        {"instance_uuid": "a b"},
        {"mac": "no mac"},
        {"addresses": ("10.0.0.300",)},
    ],
)
def test_a_guest_whose_row_is_spoilt_keeps_its_port_shut(
    namespace, tmp_path, fields
):
    """Mended, it goes on where it was: its hypervisor holds the device."""
    good = interface(1)
    name = f"tap{good.uuid[:11]}"
    plans = [
        host_plan(snapshot(interfaces=(row, WELL)), settings(dhcp=False), {})
        for row in (good, interface(1, **fields), good)
    ]

    def apply(applier, started):
        found = []
        for plan in plans:
            changes = applier.apply(parted(plan))
            (link,) = namespace.json(f"ip -j link show {name}")
            found.append((link["ifindex"], "UP" in link["flags"]))
            named = {u for f in changes.failures for u in f.instances}
            assert WELL.instance_uuid not in named
        return found

    first, spoilt, mended = namespace.call(with_applier, apply, tmp_path)
    assert first == mended
    assert spoilt == (first[0], False)


@pytest.mark.parametrize(
    ("fields", "host_address"),
    [
        ({"cidr": "rubbish"}, "10.9.0.1"),
        ({"bridge": "br/200"}, "10.9.0.1"),
        ({"bridge_interface": "x y"}, "10.9.0.1"),
        ({}, "2001:db8::1"),
    ],
)
def test_a_network_whose_row_is_spoilt_shuts_its_own_ports(
    namespace, tmp_path, fields, host_address
):
    """The other network is served on; mended, all is as it was."""
    odd = interface(1, network_id=2, addresses=("10.9.0.2",))
    name, well = f"tap{odd.uuid[:11]}", f"tap{WELL.uuid[:11]}"

    def planned(second, address):
        rows = snapshot(
            networks=(network(enable_dhcp=False), second),
            host_addresses=((1, "10.0.0.1"), (2, address)),
            interfaces=(odd, WELL),
        )
        return host_plan(rows, settings(), {})

    good = planned(SECOND, "10.9.0.1")
    ports = [port for bridge in good.bridges for port in bridge.ports]
    spoilt = planned(replace(SECOND, **fields), host_address)

    def apply(applier, started):
        found = []
        for plan in (good, spoilt, spoilt, good):
            changes = applier.apply(parted(plan))
            if not found:
                hold(namespace, next(p for p in ports if p.name == name))
            (link,) = namespace.json(f"ip -j link show {name}")
            states = {each.name: each.found for each in changes.ports}
            named = {u for f in changes.failures for u in f.instances}
            found.append(
                (link["ifindex"], "UP" in link["flags"], states, named)
            )
        return found

    first, then, again, mended = namespace.call(with_applier, apply, tmp_path)
    assert first[1:] == (True, {name: "up", well: "up"}, set())
    assert then[:2] == (first[0], False)
    assert then[2][well] == "up"
    assert then[2][name] != "up"
    assert then[3] == {odd.instance_uuid}
    assert (again, mended) == (then, first)
