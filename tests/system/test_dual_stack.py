"""Dual stack on two hosts: real guests, real clients, and packets."""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from flatnet.db import networks
from flatnet.db.engine import Database
from flatnet.lab import namespaces
from flatnet.plan.bridge import bridge_mac
from flatnet.state.eui64 import eui64_address
from tests.system import dhcp6
from tests.system.cloud import clouds, eventually

PREFIX, ROGUE = "2001:db8:0:1::/64", "2001:db8:0:bad::"
OUTSIDE = "2001:db8:f::1"


@pytest.fixture(scope="module")
def cloud():
    with (
        clouds(("use_ipv6", "True"), cidr_v6=PREFIX, mtu=1450) as cloud,
        contextlib.closing(Database(cloud.lab.database_url)) as database,
    ):
        cloud.network = networks.get(database, "flat")
        _join_outside(cloud)
        for name in cloud.guests:
            eventually(
                partial(dhcp6.addresses, cloud.namespaces[name]),
                {_six(cloud, name)},
            )
        yield cloud


@pytest.fixture
def lab(cloud):
    """For the report of a failure."""
    return cloud.lab


def _join_outside(cloud):
    """What a provider does: guests' addresses lead to their hosts."""
    outside = cloud.namespaces["outside"]
    _ip(outside, f"addr add {OUTSIDE}/64 dev br0 nodad")
    for number in (1, 2):
        public = f"2001:db8:f::1{number}"
        node = cloud.namespaces[f"node{number}"]
        _ip(node, f"addr add {public}/64 dev eth2 nodad")
        _ip(node, f"route add default via {OUTSIDE}")
    for name, placed in cloud.guests.items():
        public = f"2001:db8:f::1{placed.node.name[-1]}"
        _ip(outside, f"route add {_six(cloud, name)} via {public}")


def _ip(namespace, words):
    return namespaces.run(["ip", "-n", namespace, "-6", *words.split()])


def _six(cloud, name):
    return eui64_address(PREFIX, cloud.guests[name].mac)


def _router(cloud, host):
    """The link-local address of a host's bridge."""
    return eui64_address("fe80::/64", bridge_mac(host, cloud.network.uuid))


def _reached(cloud, target, names):
    """Who of some gets an answer from an address."""

    def answers(name):
        words = ["ping", "-6", "-c", "1", "-W", "1", target]
        inside = namespaces.inside(cloud.namespaces[name], words)
        return namespaces.attempt(inside).returncode == 0

    with ThreadPoolExecutor() as threads:
        found = threads.map(answers, names)
        return {n for n, each in zip(names, found, strict=True) if each}


def test_names_lead_to_both_addresses_on_whatever_host(cloud, lab):
    asking = cloud.guests["vm_1"].guest
    asking.dhcp()

    def known(name):
        words = ["busybox", "nslookup", "-type=aaaa", f"{name}.novalocal."]
        answer = asking.attempt(words).stdout.partition("\n\n")[2]
        return answer.partition("Address: ")[2].strip()

    for name in cloud.guests:
        eventually(partial(known, name), _six(cloud, name))


def test_guests_are_told_what_network_info_says(cloud):
    """By router advertisements of their own host alone."""
    for name, placed in cloud.guests.items():
        (vif,) = cloud.lab.rpc().call(
            "get_instance_nw_info",
            instance_id=placed.uuid,
            host=placed.node.name,
        )
        subnet = vif["network"]["subnets"][1]
        told = [each["address"] for each in subnet["ips"]]
        assert told == [_six(cloud, name)]
        gateway = subnet["gateway"]["address"]
        assert gateway == _router(cloud, placed.node.name)
        space = cloud.namespaces[name]
        assert dhcp6.routers(space) == {gateway}
        mtu = ["cat", "/proc/sys/net/ipv6/conf/eth0/mtu"]
        assert placed.guest.run(mtu) == "1450\n"


def test_a_real_client_has_leases_and_names(cloud, tmp_path):
    """With an address, and without (stateless)."""
    placed = cloud.guests["vm_3"]
    router = eui64_address(
        PREFIX, bridge_mac(placed.node.name, cloud.network.uuid)
    )
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\nenv >> {tmp_path}/said\n")
    script.chmod(0o755)
    for number, stateless in enumerate(((), ("-S",))):
        files = f"{tmp_path}/{number}"
        placed.guest.run(
            [
                *("dhclient", "-6", "-1", *stateless, "-sf", str(script)),
                *("-lf", f"{files}.leases", "-pf", f"{files}.pid"),
                *("-cf", "/dev/null", "eth0"),
            ]
        )
        pid = (tmp_path / f"{number}.pid").read_text().strip()
        placed.guest.run(["kill", pid])
        said = (tmp_path / "said").read_text().splitlines()
        assert f"new_dhcp6_name_servers={router}" in said
        assert "new_dhcp6_domain_search=novalocal." in said
        given = f"new_ip6_address={_six(cloud, 'vm_3')}" in said
        assert given is (not stateless)
        (tmp_path / "said").unlink()
    found = placed.guest.run(
        ["busybox", "nslookup", "-type=aaaa", "vm_3.novalocal", router]
    )
    assert _six(cloud, "vm_3") in found


def test_outside_is_reached_without_nat_and_groups_let_in(cloud):
    everybody = set(cloud.guests)
    assert _reached(cloud, OUTSIDE, everybody) == everybody
    target = _six(cloud, "vm_1")
    others = (everybody - {"vm_1"}) | {"outside", "node1"}
    assert _reached(cloud, target, others) == set()
    look = partial(_reached, cloud, target, others)
    rule = {"protocol": "icmpv6", "cidr": f"{OUTSIDE}/128"}
    with cloud.group("from-outside", "vm_1", "vm_3", **rule):
        eventually(look, {"outside"})
        # By another host than its own, which hands it on.
        elsewhere, outside = _six(cloud, "vm_3"), cloud.namespaces["outside"]
        _ip(outside, f"route replace {elsewhere} via 2001:db8:f::11")
        there = partial(_reached, cloud, elsewhere, ("outside", "vm_1"))
        eventually(there, {"outside"})
        _ip(outside, f"route replace {elsewhere} via 2001:db8:f::12")
    with cloud.group("fellows", "vm_1", "vm_3") as group:
        cloud.sql(
            "INSERT INTO security_group_rules (parent_group_id, group_id)"
            " VALUES (?, ?)",
            (group, group),
        )
        eventually(look, {"vm_3"})
        cloud.sql("DELETE FROM security_group_rules", ())
    eventually(look, set())


def test_nobody_else_is_a_router_or_a_server(cloud):
    """Neither a guest beside, nor anybody on the segment."""
    victim, rogue = cloud.namespaces["vm_1"], cloud.namespaces["vm_2"]
    switch = cloud.lab.spec.namespace("switch")
    router = _router(cloud, "node1")
    mac = cloud.guests["vm_2"].mac
    lies = (
        dhcp6.advertisement(ROGUE),
        dhcp6.neighbour(router, mac),
    )
    speakers = [
        partial(dhcp6.say, space, lie, device=device)
        for lie in lies
        for space, device in ((rogue, "eth0"), (switch, "br0"))
    ]
    heard = dhcp6.heard(victim, speakers, router)
    assert {source for _, source in heard} == {router}
    target = cloud.guests["vm_1"].link_local.partition("%")[0]
    said = [
        partial(dhcp6.serve, rogue, target, b"rogue", device="eth0"),
        partial(dhcp6.serve, switch, target, b"segment", device="br0"),
        partial(
            dhcp6.serve,
            cloud.namespaces["node1"],
            target,
            b"own",
            device="br100",
        ),
    ]
    assert dhcp6.datagrams(victim, *said) == [b"own"]
    # Nor has anybody another's address withheld, as one that is in use.
    mine = dhcp6.Client(rogue, mac)
    assert mine.binds() == _six(cloud, "vm_2")
    mine.declines(_six(cloud, "vm_1"))
    client = dhcp6.Client(victim, cloud.guests["vm_1"].mac)
    assert client.binds() == _six(cloud, "vm_1")
    assert dhcp6.addresses(victim) == {_six(cloud, "vm_1")}
    assert dhcp6.routers(victim) == {router}


def test_a_host_mends_what_others_do_to_its_router(cloud):
    node = cloud.guests["vm_1"].node
    space = cloud.namespaces["node1"]
    router = _router(cloud, "node1")

    def look():
        found = _ip(space, "addr show dev br100")
        setting = node.run("sysctl -n net.ipv6.conf.all.forwarding")
        return f"inet6 {router}/64" in found, setting

    for harm in (
        f"ip -6 addr del {router}/64 dev br100",
        "sysctl -qw net.ipv6.conf.br100.disable_ipv6=1",
        "sysctl -qw net.ipv6.conf.all.forwarding=0",
    ):
        eventually(look, (True, "1\n"))
        node.run(harm)
        eventually(look, (True, "1\n"))
    victim = cloud.namespaces["vm_1"]
    eventually(
        lambda: dhcp6.heard(victim, (), router)[-1][1],
        router,
    )
    eventually(
        partial(_reached, cloud, OUTSIDE, ("vm_1",)),
        {"vm_1"},
    )


def test_a_guest_that_moves_keeps_its_address_and_server(cloud):
    """It learns its new gateway, and the new host renews its lease."""
    placed, space = cloud.guests["vm_2"], cloud.namespaces["vm_2"]
    client = dhcp6.Client(space, placed.mac)
    address = client.binds()
    assert address == _six(cloud, "vm_2")
    call = cloud.lab.rpc().call
    move = {"instance_uuid": placed.uuid, "source": "node1", "dest": "node2"}
    call("setup_networks_on_host", instance_id=placed.uuid, host="node2")
    call("migrate_instance_start", **move)
    (vif,) = call(
        "get_instance_nw_info", instance_id=placed.uuid, host="node2"
    )
    namespaces.run(["ip", "-n", space, "link", "del", "eth0"])
    peer = f"vif{vif['id'][:11]}"
    there = cloud.namespaces["node2"]
    namespaces.run(
        [
            *("ip", "-n", there, "link", "set", peer),
            *("netns", space, "name", "eth0", "up"),
        ]
    )
    cloud.sql(
        "UPDATE instances SET host = ? WHERE uuid = ?", ("node2", placed.uuid)
    )
    call("migrate_instance_finish", **move)
    eventually(partial(dhcp6.addresses, space), {address})
    eventually(partial(dhcp6.routers, space), {_router(cloud, "node2")})
    # It says nothing before it knows its own address as good.
    eventually(
        lambda: "tentative" in placed.guest.run(["ip", "-6", "addr"]), False
    )
    # Nothing is known of its lease here; it is told so, and asks at once.
    assert client.renews() is None
    assert client.binds() == address
    _ip(
        cloud.namespaces["outside"],
        f"route replace {address} via 2001:db8:f::12",
    )
    eventually(partial(_reached, cloud, OUTSIDE, ("vm_2",)), {"vm_2"})
