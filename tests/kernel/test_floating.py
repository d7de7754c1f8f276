"""Floating addresses with packets: to guests, from them, to themselves."""

import pickle
import re
import socket
import struct

import pytest
from segment import ethernet, guest, probe, segment

from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.host import (
    HostPaths,
    Task,
    Tools,
    apply_rules,
    apply_task,
)
from flatnet.apply.worker_cache import WorkerCache
from flatnet.state.effects import Effect, Surface, Verb
from flatnet.state.rows import FloatingIp, SecurityGroup, SecurityRule
from tests.builders import network, settings, snapshot
from tests.planned import host_plan

FIRST, SECOND = "198.51.100.1", "198.51.100.2"
RULES = (
    SecurityRule(1, "tcp", 80, 80, "0.0.0.0/0"),
    SecurityRule(2, "udp", 80, 80, "0.0.0.0/0"),
)
GROUP = SecurityGroup(1, "web", RULES)


@pytest.fixture(scope="module")
def net():
    with segment() as built:
        built.outside.namespace.run("ip route add 198.51.100.0/24 dev eth0")
        yield built


def plan(led, **options):
    """A host with three guests; `led` says which addresses lead to whom."""
    rows = snapshot(
        networks=(network(enable_dhcp=False),),
        interfaces=tuple(
            guest(
                number,
                security_group_ids=(1,),
                floating=tuple(
                    FloatingIp(each, f"10.0.0.{number + 1}")
                    for each, whose in sorted(led.items())
                    if whose == number
                ),
            )
            for number in (1, 2, 3)
        ),
        security_groups=(GROUP,),
    )
    defaults = {
        "vif_plug": "external",
        "public_interface": "ext0",
        "routing_source_ip": "192.0.2.1",
        "allow_same_net_traffic": False,
    }
    return host_plan(rows, settings(**{**defaults, **options}))


def in_worker(plans, directory):
    """What one process makes of plans, one after the other."""
    with Session() as session:
        known = WorkerCache(session.proven)
        tools = Tools(HostPaths(directory), session, known)
        return [apply_task(Task(each), tools).changes for each in plans]


def rules_alone(wanted, directory):
    """What comes of one whose process dies soon."""
    with Session() as session:
        tools = Tools(
            HostPaths(directory), session, WorkerCache(session.proven)
        )
        assert apply_rules(wanted, tools).failures == ()


def applied(net, directory, *plans):
    """What was done for the last; twice is once, as a new process too."""
    *_, done, again = net.node.call(
        in_worker, (*plans, plans[-1]), str(directory)
    )
    assert (done.failures, again.failures) == ((), ())
    assert again.made == ()
    (fresh,) = net.node.call(in_worker, plans[-1:], str(directory))
    assert [e for e in fresh.made if e.surface is not Surface.GUARD] == []
    return done.made


def addresses(net):
    (link,) = net.node.json("ip -j addr show dev ext0")
    return {e["local"] for e in link["addr_info"] if e["prefixlen"] == 32}


def test_outside_reaches_a_guest_as_its_group_lets_in(net, tmp_path):
    applied(net, tmp_path, plan({FIRST: 1}))
    open_, shut = ("tcp", FIRST, 80), ("tcp", FIRST, 22)
    assert net.outside.reaches(open_, shut) == {open_: "open"}
    target = ("udp", "192.0.2.9", 80)
    assert net.guests[1].reaches(target) == {target: FIRST}
    assert net.guests[2].reaches(target) == {target: "192.0.2.1"}


def test_guests_reach_each_other_and_themselves_by_them(net, tmp_path):
    applied(net, tmp_path, plan({FIRST: 1, SECOND: 2}))
    itself, other = ("udp", FIRST, 80), ("udp", SECOND, 80)
    found = net.guests[1].reaches(itself, other)
    assert found == {itself: FIRST, other: FIRST}
    assert set(net.guests[3].reaches(itself, other)) == {itself, other}
    assert set(net.other.reaches(itself)) == {itself}
    shut = ("udp", FIRST, 5000)
    assert net.guests[1].reaches(shut) == net.guests[3].reaches(shut) == {}


def test_the_host_reaches_what_the_group_lets_in(net, tmp_path):
    applied(net, tmp_path, plan({FIRST: 1}))
    open_, shut = ("udp", FIRST, 80), ("udp", FIRST, 5000)
    assert set(net.node.call(probe, (open_, shut))) == {open_}


def test_one_goes_and_nothing_of_it_lingers(net, tmp_path):
    net.node.run("ip addr add 198.51.100.9/32 dev ext0 scope link")
    applied(net, tmp_path, plan({FIRST: 1, SECOND: 2}))
    assert addresses(net) == {FIRST, SECOND, "198.51.100.9"}
    to, by = ("udp", FIRST, 80), ("udp", "192.0.2.9", 80)
    net.outside.reaches(to)
    net.guests[1].reaches(by)
    # One that died after its rules had gone leaves the rest to the next.
    net.node.call(rules_alone, plan({SECOND: 2}), str(tmp_path))
    assert addresses(net) == {FIRST, SECOND, "198.51.100.9"}
    net.node.call(in_worker, [plan({SECOND: 2})], str(tmp_path))
    assert addresses(net) == {SECOND, "198.51.100.9"}
    assert FIRST not in net.node.run("conntrack -L")
    made = applied(net, tmp_path, plan({SECOND: 2}), plan({}))
    assert Effect(Surface.FLOATING, Verb.REMOVED, SECOND, "from ext0") in made
    assert addresses(net) == {"198.51.100.9"}
    assert "tap00000002-00" not in hairpins(net)
    found = net.outside.reaches(to, ("tcp", FIRST, 80))
    assert "open" not in found.values()
    net.node.run("ip addr del 198.51.100.9/32 dev ext0")


def hairpins(net):
    ports = net.node.json("bridge -j -d link")
    return [each["ifname"] for each in ports if each["hairpin"]]


def test_one_that_leads_to_another_takes_no_connection_along(net, tmp_path):
    applied(net, tmp_path, plan({FIRST: 1}))
    target = ("udp", FIRST, 80)
    for plans, address in (
        ([plan({FIRST: 1})], "10.0.0.2"),
        ([plan({FIRST: 1}), plan({FIRST: 2})], "10.0.0.3"),
        # So too by a process that knows nothing of the one before.
        ([plan({FIRST: 3})], "10.0.0.4"),
    ):
        net.node.call(in_worker, plans, str(tmp_path))
        net.outside.namespace.call(asked, target)
        assert leads_to(net) == address


def asked(target):
    """Ask, always by the same port; an answer has to come."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as each:
        each.settimeout(5)
        each.bind(("192.0.2.9", 4000))
        each.sendto(b"?", target[1:])
        return each.recv(100)


def leads_to(net):
    """The guest that the one flow by that port leads to."""
    lines = net.node.run("conntrack -L -p udp --sport 4000").splitlines()
    (line,) = [each for each in lines if f"dst={FIRST}" in each]
    return re.findall(r"src=(\S+)", line)[1]


def test_what_cannot_be_had_is_that_guests_failure(net, tmp_path):
    net.node.run("ip addr add 198.51.100.8/32 dev ext0")
    own = "192.0.2.1", "198.51.100.8"
    wrong = plan({FIRST: 1, own[0]: 2, own[1]: 3, "10.0.0.77": 3})
    nowhere = plan({FIRST: 1}, public_interface="eth9")
    taken, lacking = (
        net.node.call(in_worker, [each], str(tmp_path))[0].failures
        for each in (wrong, nowhere)
    )
    assert {(e.subject.key, e.message.partition(",")[0]) for e in taken} == {
        *((each, "it is this host's own address") for each in own),
        ("10.0.0.77", "it is an address of a flat network"),
    }
    assert [e.message for e in lacking] == ["there is no device eth9"]
    # The same once more, as a plan that was sent anew is.
    again = pickle.loads(pickle.dumps(wrong))
    net.node.call(in_worker, [wrong, again], str(tmp_path))
    rules = net.node.run("iptables-save -t nat")
    assert not any(f"-d {each}/32" in rules for each in own)
    (instance,) = lacking[0].instances
    assert instance == guest(1).instance_uuid


def test_a_guest_hears_nothing_of_its_own_questions(net, tmp_path):
    """nova's hairpins gave each guest's duplicate address detection back."""
    applied(net, tmp_path, plan({FIRST: 1}))
    who, other = net.guests[1], net.guests[2]
    for marker, asker in (("own", who), ("other", other)):
        number = 1 if asker is who else 2
        asker.send(_question(number, marker))
    for heard in (who, other):
        heard.wait_for("other" if heard is who else "own")
    assert "own" not in who.seen
    assert "tap00000001-00" in hairpins(net)


def _question(number, marker):
    """A question of a guest to all, who has the gateway's address."""
    mac = bytes.fromhex(guest(number).mac.replace(":", ""))
    body = struct.pack(
        ">HHBBH6s4s6s4s",
        *(1, 0x0800, 6, 4, 1, mac, socket.inet_aton(f"10.0.0.{number + 1}")),
        *(bytes(6), socket.inet_aton("10.0.0.1")),
    )
    macs = ("ff:ff:ff:ff:ff:ff", guest(number).mac)
    return ethernet(0x0806, body + f"marker:{marker};".encode(), macs=macs)
