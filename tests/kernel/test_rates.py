"""Ports keep their rates, by packets, and what keeps them is ours alone."""

import contextlib
import subprocess
import sys
from dataclasses import replace

import pytest
from bridged import links, plan, tap, veth
from streams import measured

from flatnet.apply.link import tc
from flatnet.apply.link.bridge import apply_bridges, remove_ports
from flatnet.apply.link.devices import Devices
from flatnet.apply.link.rates import Rates
from flatnet.apply.link.unchanged_ports import UnchangedPorts
from flatnet.state.changes import Changes, joined

MBIT = 1_000_000
PAIR = veth(1)
GUEST = "10.0.0.2"
HOST = "10.0.0.1"
SHAPER = "ifb00000001-aa"


def rated(rate, port=PAIR):
    return plan(replace(port, rate=rate))


class Host:
    """Passes of one process over the links of its host."""

    def __init__(self):
        self.devices, self.rates = Devices(), Rates()
        self.close = self.devices.close

    def a_pass(self, wanted, names=None):
        return joined(
            remove_ports(wanted, self.devices, ports=names),
            apply_bridges(
                wanted,
                self.devices,
                shut=frozenset(),
                unchanged=UnchangedPorts(),
                ports=names,
            ),
            self.rates.mend(wanted, self.devices, names),
        )

    def undone(self):
        """The ports of which somebody undid something."""
        return self.rates.undone(self.devices.moved().links)


def one_pass(wanted):
    with contextlib.closing(Host()) as host:
        return host.a_pass(wanted)


def reach(namespace, wanted):
    """A pass, and one of another process that has nothing to do."""
    first = namespace.call(one_pass, wanted)
    assert first.failures == (), first.failures
    second = namespace.call(one_pass, wanted)
    assert second == Changes(warnings=first.warnings), second
    return first


def shell(commands):
    subprocess.run(("sh", "-ec", commands), check=True, capture_output=True)


@pytest.fixture
def guest(namespace, namespaces):
    """What has taken the pair's free end."""
    made = namespaces()
    reach(namespace, rated(0))
    namespace.run(f"ip link set {PAIR.peer} netns {made.name} name eth0")
    made.run(f"ip addr add {GUEST}/24 dev eth0")
    made.run("ip link set eth0 up")
    return made


@pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_DGRAM"])
def test_a_rate_holds_in_both_directions(namespace, guest, kind):
    for rate in (10 * MBIT, 100 * MBIT):
        reach(namespace, rated(rate))
        for way in ((guest, namespace, GUEST), (namespace, guest, HOST)):
            # A machine that has no time for it measures something else.
            tries = (measured(*way, kind=kind) for _ in range(5))
            assert any(got == pytest.approx(rate, rel=0.05) for got in tries)
    reach(namespace, rated(0))
    assert measured(guest, namespace, GUEST) > 150 * MBIT
    assert not [each for each in links(namespace) if each.startswith("ifb")]
    shown = namespace.run(f"tc qdisc show dev {PAIR.name}")
    assert "tbf" not in shown
    assert "ingress" not in shown


def test_a_rate_becomes_another_without_a_lost_packet(namespace, guest):
    reach(namespace, rated(20 * MBIT))
    count, port = 4000, 5002
    receiver = guest.start(
        *(sys.executable, "-c", _COUNT, GUEST, str(port), str(count)),
        stdout=-1,
        text=True,
    )
    with receiver.stdout:
        assert receiver.stdout.readline() == "ready\n"
        # 4 Mbit/s, for one second.
        namespace.start(
            *(sys.executable, "-c", _PACE, GUEST, str(port), str(count))
        )
        for rate in (10, 40, 5, 100, 8, 30):
            reach(namespace, rated(rate * MBIT))
        assert receiver.stdout.readline() == f"{count}\n"


_COUNT = """
import socket, sys
address, port, count = sys.argv[1:]
end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end.bind((address, int(port)))
end.settimeout(5)
print("ready", flush=True)
got = 0
try:
    while got < int(count):
        end.recv(2048)
        got += 1
except TimeoutError:
    pass
print(got, flush=True)
"""
_PACE = """
import socket, sys, time
address, port, count = sys.argv[1:]
end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end.connect((address, int(port)))
start = time.monotonic()
for number in range(int(count)):
    end.send(bytes(125))
    time.sleep(max(start + number * 0.00025 - time.monotonic(), 0))
"""


@pytest.mark.parametrize(
    "commands",
    [
        f"tc qdisc del dev {PAIR.name} root",
        f"tc qdisc change dev {PAIR.name} root handle 464e: "
        "tbf rate 1mbit burst 9k limit 90k",
        f"tc qdisc del dev {PAIR.name} ingress",
        f"tc filter del dev {PAIR.name} ingress",
        f"tc qdisc del dev {SHAPER} root",
        f"ip link del {SHAPER}",
        f"ip link set {SHAPER} down",
    ],
)
def test_who_undoes_a_rate_is_heard_and_it_is_put_back(namespace, commands):
    wanted = rated(10 * MBIT)

    def meddled():
        with contextlib.closing(Host()) as host:
            assert host.a_pass(wanted).failures == ()
            assert host.undone() == frozenset()
            shell(commands)
            assert host.undone() == {PAIR.name}
            changes = host.a_pass(wanted, frozenset((PAIR.name,)))
            assert changes.made
            assert changes.failures == ()
            assert host.undone() == frozenset()
            assert one_pass(wanted) == Changes()

    namespace.call(meddled)


def test_what_others_have_set_stays(namespace):
    reach(namespace, rated(0))
    foreign = f"tc qdisc add dev {PAIR.name} root handle 7: tbf rate 9mbit "
    namespace.run(foreign + "burst 9k limit 90k")
    namespace.run(f"tc qdisc add dev {PAIR.name} clsact")
    rule = f"dev {PAIR.name} ingress pref 9 protocol arp u32 match u32 0 0"
    namespace.run(f"tc filter add {rule}")
    shown = [f"tc qdisc show dev {PAIR.name}", f"tc filter show {rule[:26]}"]
    before = [namespace.run(each) for each in shown]
    changes = reach(namespace, rated(10 * MBIT))
    assert ["somebody has set qdisc tbf" in e for e in changes.warnings] == [1]
    reach(namespace, rated(0))
    assert [namespace.run(each) for each in shown] == before


def test_any_kind_of_port_has_a_rate_and_none_leaves_anything(namespace):
    number = 7
    for made in (
        replace(tap(number), owner="nobody"),
        replace(tap(number), kind="external"),
    ):
        if made.kind == "external":
            namespace.run(f"ip tuntap add {made.name} mode tap multi_queue")
            namespace.run(f"ip link set {made.name} master br100 up")
        reach(namespace, rated(5 * MBIT, made))
        shown = namespace.run(f"tc qdisc show dev {made.name}")
        assert "tbf 464e: root" in shown
        assert "ingress" in shown
        if made.kind == "external":
            namespace.run(f"ip link del {made.name}")
        reach(namespace, plan())
        assert not {n for n in links(namespace) if n.startswith("ifb")}


def test_where_no_port_has_a_rate_nobody_listens(namespace):
    def listening():
        with contextlib.closing(Host()) as host:
            assert host.a_pass(rated(0)).failures == ()
            return host.rates.descriptors

    assert namespace.call(listening) == ()


def test_what_cannot_be_had_is_said_in_one_line(namespace, monkeypatch):
    namespace.run(f"ip link add {SHAPER} type ifb")
    namespace.run(f"ip link set {SHAPER} alias mine")
    (failure,) = namespace.call(one_pass, rated(MBIT)).failures
    assert f"device {SHAPER} exists and is not flatnet's" in failure.message
    assert failure.instances == (PAIR.instance_uuid,)
    namespace.run(f"ip link del {SHAPER}")
    monkeypatch.setattr(tc, "SHAPER", "lacking")
    (failure,) = namespace.call(one_pass, rated(MBIT)).failures
    assert "this kernel has no qdisc tbf (sch_tbf)" in failure.message
