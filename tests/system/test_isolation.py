"""allow_same_net_traffic=False on two nodes: what packets come to.

Every test finds nothing allowed, and leaves it so.
"""

import contextlib
import ipaddress
import itertools
import re
from dataclasses import replace

import pytest

from flatnet.lab.spec import OUTSIDE_ADDRESS
from tests import sockets
from tests.system import groupcasts
from tests.system.cloud import clouds, eventually

FLAT = ("network_manager", "nova.network.manager.FlatManager")
ANYWHERE = "0.0.0.0/0"


@pytest.fixture(scope="module")
def cloud():
    with clouds() as cloud:
        cloud.guests = {
            name: replace(placed, lease=placed.guest.dhcp())
            for name, placed in cloud.guests.items()
        }
        outside = cloud.namespaces["outside"]
        way = cloud.lab.node(1).spec.public_address
        command = f"ip -n {outside} route add 10.0.0.0/24 via {way}"
        cloud.lab.node(1).run(command)
        yield cloud


@pytest.fixture
def lab(cloud):
    """For the report of a failure."""
    return cloud.lab


def test_nothing_reaches_an_instance(cloud, lab):
    eventually(cloud.seen, set())


def test_instances_reach_their_host_and_the_outside(cloud, lab):
    for placed in cloud.guests.values():
        gateway = "10.0.0.1" if placed.node.name == "node1" else "10.0.0.4"
        lease = placed.guest.dhcp()
        assert (lease.address, lease.server) == (placed.address, gateway)
        name = f"{placed.guest.hostname}.novalocal"
        assert placed.guest.resolve(name) == placed.address
        assert placed.guest.ping(gateway)
        assert placed.guest.ping(OUTSIDE_ADDRESS)


def test_names_and_reverse_names_are_those_of_all_hosts(cloud, lab):
    guests = cloud.guests
    rename = "UPDATE instances SET hostname = ? WHERE uuid = ?"

    def known(**called):
        """Whom each guest knows, by name and by address."""
        return {
            (asking, name, placed.guest.resolve(f"{called.get(name, name)}."))
            for asking, placed in guests.items()
            for name in guests
        } | {
            (asking, name, reverse_name(placed.guest, guests[name].address))
            for asking, placed in guests.items()
            for name in guests
        }

    def wanted(**called):
        domain = "novalocal"
        return {
            pair
            for asking, name in itertools.product(guests, guests)
            for pair in (
                (asking, name, guests[name].address),
                (asking, name, f"{called.get(name, name)}.{domain}"),
            )
        }

    eventually(known, wanted())
    try:
        cloud.sql(rename, ("renamed", guests["vm_3"].uuid))
        new = {"vm_3": "renamed"}
        eventually(lambda: known(**new), wanted(**new))
        for placed in guests.values():
            assert placed.guest.resolve("vm_3.") == ""
    finally:
        cloud.sql(rename, ("vm_3", guests["vm_3"].uuid))


def reverse_name(guest, address):
    """The name that a guest's server has for an address; empty: none."""
    of = ipaddress.ip_address(address).reverse_pointer
    said = guest.attempt(["busybox", "nslookup", "-type=ptr", of]).stdout
    return "".join(re.findall(r"name = (\S+)", said))


def test_a_group_made_with_the_tool_lets_in_what_it_says(cloud, lab):
    pids = [node.daemon_pid for node in lab.nodes]
    tool = ("security", "group")
    lab.cli(*tool, "create", "web", "--project-id", "blue")
    rule = ("rule", "create", "web", "--protocol", "tcp", "--cidr", ANYWHERE)
    lab.cli(*tool, *rule, "--from-port", "22")
    lab.cli(*tool, "add", "instance", "web", "vm_1")
    wanted = {
        (source, "vm_1", "tcp", 22)
        for source in ("vm_2", "vm_3", "vm_4", "node1", "node2", "outside")
    }
    eventually(cloud.seen, wanted)
    lab.cli(*tool, "remove", "instance", "web", "vm_1")
    eventually(cloud.seen, set())
    lab.cli(*tool, "delete", "web")
    assert [node.daemon_pid for node in lab.nodes] == pids


def test_members_of_a_source_group_are_followed(cloud, lab):
    with cloud.group("friends") as friends:
        rule = {"protocol": "icmp", "source_group": friends}
        with cloud.group("pinged", "vm_1", **rule):
            eventually(cloud.seen, set())
            cloud.sql(
                "INSERT INTO security_group_instance_association"
                " (security_group_id, instance_uuid) VALUES (?, ?)",
                (friends, cloud.guests["vm_3"].uuid),
            )
            eventually(cloud.seen, {("vm_3", "vm_1", "icmp", 8)})
            cloud.leave(friends, "vm_3")
            eventually(cloud.seen, set())


def test_groupcasts_reach_the_members_on_both_hosts(cloud, lab):
    members = ("vm_1", "vm_2", "vm_3")
    hear = groupcasts.heard
    assert hear(cloud, "vm_1") == set()
    with cloud.group("friends", *members) as friends:
        for protocol in ("udp", "112"):
            cloud.sql(
                "INSERT INTO security_group_rules"
                " (parent_group_id, protocol, group_id) VALUES (?, ?, ?)",
                (friends, protocol, friends),
            )
        for source in ("vm_1", "vm_3"):
            wanted = {
                (member, target)
                for member in {*members} - {source}
                for target in (*groupcasts.TARGETS, groupcasts.VRRP)
            }
            eventually(lambda who=source: hear(cloud, who), wanted)
        # Who is no member neither hears nor is heard.
        assert hear(cloud, "vm_4") == set()
    eventually(lambda: hear(cloud, "vm_1"), set())


def test_a_row_is_honoured_without_a_word_to_the_daemon(cloud, lab):
    with cloud.group("rows", "vm_4") as group:
        cloud.sql(
            "INSERT INTO security_group_rules (parent_group_id, protocol,"
            " from_port, to_port, cidr) VALUES (?, 'tcp', 20, 22, ?)",
            (group, f"{cloud.guests['vm_1'].address}/32"),
        )
        eventually(cloud.seen, {("vm_1", "vm_4", "tcp", 22)})
        cloud.sql(
            "DELETE FROM security_group_rules WHERE parent_group_id = ?",
            (group,),
        )
        eventually(cloud.seen, set())


def test_link_local_addresses_need_a_rule_too(cloud, lab):
    rule = {"protocol": "icmpv6", "cidr": "fe80::/10"}
    members = ("vm_1", "vm_2", "vm_3")
    with cloud.group("neighbours", *members, **rule):
        pairs = set(itertools.permutations(members, 2))
        # Who asks needs none: what answers him is answers.
        pairs |= {("vm_4", member) for member in members}
        eventually(cloud.seen, {(*pair, "icmp", 128) for pair in pairs})


@pytest.mark.parametrize("target", ["vm_2", "vm_3"])
def test_a_guest_sends_with_its_own_addresses_alone(cloud, lab, target):
    sender, there = cloud.guests["vm_1"], cloud.guests[target]
    space = sender.guest.namespace

    def change(*lines):
        for line in lines:
            sender.guest.run(["ip", *line.split()])

    def try_all():
        """Send with a forged address, a forged MAC, and then in truth."""
        place = (there.address, 5000)
        neighbour = f"{there.address} lladdr {there.mac} dev eth0"
        change(
            f"neigh replace {neighbour} nud permanent",
            "addr add 10.0.0.99/24 dev eth0",
        )
        sockets.send(space, "10.0.0.99", place, b"address")
        change(
            "addr del 10.0.0.99/24 dev eth0",
            "link set eth0 address fa:16:3e:99:99:99",
            f"neigh replace {neighbour} nud permanent",
        )
        sockets.send(space, sender.address, place, b"mac")
        change(
            f"link set eth0 address {sender.mac}",
            f"neigh replace {neighbour} nud permanent",
        )
        sockets.send(space, sender.address, place, b"truth")

    rule = {"protocol": "udp", "cidr": ANYWHERE}
    open_ones = {
        (source, target, "udp", 5000)
        for source in cloud.namespaces.keys() - {target}
    }
    with cloud.group("any", target, **rule):
        eventually(cloud.seen, open_ones)
        with sockets.receiver(there.guest.namespace, 5000) as receiver:
            try_all()
            assert receiver.recv(100) == b"truth"


def chains(node):
    """The rules of our chains with their counters, by chain and mark."""
    found = {}
    for family in ("iptables", "ip6tables"):
        for line in node.run(f"{family}-save -c").splitlines():
            rule = re.match(r"\[(\d+):\d+\] -A (flatnet-\S+) (.*)", line)
            if rule:
                chain = found.setdefault((family, rule[2]), [])
                chain.append((rule[3], int(rule[1])))
    return found


def test_a_restart_is_not_noticed_by_packets_nor_counters(cloud, lab):
    target = cloud.guests["vm_1"]
    place = (target.address, 22)
    rule = {"protocol": "tcp", "from_port": 22, "to_port": 22}
    with (
        cloud.group("ssh", "vm_1", cidr=ANYWHERE, **rule) as group,
        contextlib.closing(
            sockets.listener(target.guest.namespace, 22)
        ) as server,
    ):
        wanted = {("vm_1", "tcp", 22)}
        eventually(lambda: cloud.seen_from("vm_3"), wanted)
        # What the probes left in the queue.
        server.close()
        server = sockets.listener(target.guest.namespace, 22)
        before = chains(target.node)
        near, far = sockets.connection(cloud.namespaces["vm_3"], place, server)
        target.node.kill_daemon()
        assert sockets.passes(near, far)
        target.node.begin_daemon()
        assert sockets.passes(far, near)
        target.node.await_daemon()
        assert sockets.passes(near, far)
        after = chains(target.node)
        cloud.leave(group, "vm_1")
        # What the rule alone allowed ends with it, on a host far away too.
        eventually(lambda: sockets.passes(near, far, patience=0.3), False)
        assert not sockets.passes(near, far, patience=1)
        for each in (near, far, server):
            each.close()
    assert before
    assert after.keys() == before.keys()
    for name, rules in before.items():
        assert [text for text, _ in after[name]] == [text for text, _ in rules]
        counters = [count for _, count in after[name]]
        assert all(map(int.__ge__, counters, [count for _, count in rules]))


def test_flat_manager_isolates_as_well():
    with clouds(FLAT) as cloud:
        for placed in cloud.guests.values():
            placed.guest.run(
                ["ip", "addr", "add", f"{placed.address}/24", "dev", "eth0"]
            )
        for node in ("node1", "node2", "outside"):
            del cloud.namespaces[node]
        eventually(cloud.seen, set())
        with cloud.group("web", "vm_1", protocol="tcp", cidr=ANYWHERE):
            wanted = {
                (source, "vm_1", "tcp", port)
                for source in ("vm_2", "vm_3", "vm_4")
                for port in (22, 23)
            }
            eventually(cloud.seen, wanted)
        eventually(cloud.seen, set())
