"""What stands in a bridge's or a port's way is told and left alone."""

import ctypes

from bridged import (
    NETWORK,
    apply,
    failure,
    instance,
    links,
    one_pass,
    plan,
    reach,
    state,
    tap,
    uplink,
    veth,
)

from flatnet.state.plan import Plan
from tests.builders import network, settings, snapshot
from tests.effects import BRIDGE, port
from tests.planned import bridges

CLONE_NEWNS = 0x00020000
MS_REC = 1 << 14
MS_PRIVATE = 1 << 18


def test_a_device_that_is_no_bridge(namespace):
    namespace.run("ip link add br100 type veth peer name other")
    only = failure(namespace, plan(tap(1)))
    assert only.subject == BRIDGE
    assert only.instances == (instance(1),)
    assert "br100 exists and is no bridge" in only.message


def test_an_uplink_that_is_missing(namespace):
    only = failure(namespace, plan(tap(1), uplink="eth7"))
    assert only.subject == BRIDGE
    assert "uplink eth7 does not exist" in only.message


def test_another_name_of_a_device_is_known_as_such(namespace):
    uplink(namespace)
    namespace.run("ip link property add dev eth1 altname rack7")
    only = failure(namespace, plan(tap(1), uplink="rack7"))
    assert "rack7 is another name of device eth1" in only.message
    only = failure(namespace, plan(tap(1), name="rack7"))
    assert "rack7 is another name of device eth1" in only.message


def test_an_uplink_that_is_enslaved_elsewhere(namespace):
    uplink(namespace)
    namespace.run("ip link add virbr0 type bridge")
    namespace.run("ip link set eth1 master virbr0")
    only = failure(namespace, plan(tap(1), uplink="eth1"))
    assert "eth1 is enslaved to virbr0" in only.message


def test_an_uplink_that_another_network_has(namespace):
    """What to do about it takes nothing from that network's guests."""
    uplink(namespace)
    first = plan(tap(1), uplink="eth1")
    reach(namespace, first)
    second = plan(
        *(tap(2),),
        name="br200",
        network_uuid=NETWORK.replace("1", "2"),
        mac="02:aa:bb:cc:dd:ef",
        address="10.1.0.1/24",
        uplink="eth1",
    )
    both = Plan("node1", bridges=first.bridges + second.bridges)
    only = failure(namespace, both)
    assert only.instances == (instance(2),)
    assert "uplink eth1 is that of br100 already" in only.message
    assert "--uplink" in only.message
    assert "nomaster" not in only.message


def test_two_networks_with_an_uplink_each(namespace):
    """As rows mean them on a host that has flat_interface = eth1."""
    uplink(namespace)
    namespace.run("ip link add eth2 type veth peer name far2")
    rows = snapshot(
        networks=(
            network(),
            network(
                id=2,
                uuid=NETWORK.replace("1", "2"),
                cidr="10.1.0.0/24",
                bridge="br200",
                bridge_interface="eth2",
            ),
        ),
        host_addresses=((1, "10.0.0.1"), (2, "10.1.0.1")),
    )
    options = settings(flat_interface="eth1")
    reach(namespace, Plan("node1", bridges=bridges(rows, options, {})))
    found = links(namespace)
    assert found["eth1"]["master"] == "br100"
    assert found["eth2"]["master"] == "br200"


def test_an_uplink_that_carries_addresses(namespace):
    uplink(namespace)
    namespace.run("ip addr add 198.51.100.4/24 dev eth1")
    only = failure(namespace, plan(tap(1), uplink="eth1"))
    assert "eth1 carries 198.51.100.4/24" in only.message
    assert "move it to the bridge" in only.message


def test_an_address_that_another_device_holds(namespace):
    uplink(namespace)
    namespace.run("ip addr add 10.0.0.1/32 dev eth1")
    only = failure(namespace, plan(tap(1)))
    assert "10.0.0.1 is on eth1 too" in only.message


def test_two_networks_that_name_one_bridge(namespace):
    both = plan(tap(1)).bridges + plan(tap(2), network_uuid="x").bridges
    changes = apply(namespace, Plan("node1", bridges=both))
    assert changes.made == ()
    assert [each.instances for each in changes.failures] == [
        (instance(1),),
        (instance(2),),
    ]


def test_a_broken_bridge_does_not_stop_another(namespace):
    bad = plan(tap(1), name="br0", uplink="eth7", address=None)
    both = bad.bridges + plan(tap(2)).bridges
    changes = apply(namespace, Plan("node1", bridges=both))
    assert [each.subject.key for each in changes.failures] == ["br0"]
    found = links(namespace)
    assert "br0" not in found
    assert found[tap(2).name]["master"] == "br100"


def test_a_name_that_is_taken_fails_its_own_port_only(namespace):
    namespace.run(f"ip link add {tap(1).name} type veth peer name other")
    namespace.run(f"ip link set {tap(1).name} alias theirs")
    before = state(namespace, tap(1).name)
    changes = apply(namespace, plan(tap(1), tap(2)))
    (only,) = changes.failures
    assert only.subject == port(tap(1).name)
    assert only.instances == (instance(1),)
    assert "is not flatnet's" in only.message
    assert state(namespace, tap(1).name) == before
    assert links(namespace)[tap(2).name]["master"] == "br100"


def test_tun_that_is_missing(namespace):
    changes = namespace.call(pass_without_tun, plan(tap(1), veth(2)))
    (only,) = changes.failures
    assert only.subject == port(tap(1).name)
    assert "/dev/net/tun is missing" in only.message
    assert links(namespace)[veth(2).name]["master"] == "br100"


def pass_without_tun(wanted):
    """A pass of a process that sees an empty /dev/net of its own."""
    libc = ctypes.CDLL(None)
    assert libc.unshare(CLONE_NEWNS) == 0
    assert libc.mount(b"none", b"/", None, MS_PRIVATE | MS_REC, None) == 0
    assert libc.mount(b"none", b"/dev/net", b"tmpfs", 0, None) == 0
    return one_pass(wanted)


def test_a_bridge_that_is_full(namespace):
    reach(namespace, plan(veth(1)))
    batch = "".join(
        f"link add a{number} master br100 type veth "
        f"peer name b{number}\nlink set b{number} master br100\n"
        for number in range(511)
    )
    namespace.run("ip", "-batch", "-", text=batch)
    changes = apply(namespace, plan(veth(1), veth(2)))
    (only,) = changes.failures
    assert only.subject == port(veth(2).name)
    assert "1023" in only.message
    assert veth(2).name not in links(namespace)
