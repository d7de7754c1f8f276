"""What others do costs what it is about, and is not lost during passes."""

import contextlib
import os
import socket
import subprocess
from dataclasses import replace
from pathlib import Path

from pyroute2 import IPRoute
from test_watch import OPTIONS, PORT, ROWS, applier, output, rules

from flatnet.apply.events import ANYTHING, HOST, Happened
from flatnet.apply.fights import RULES
from flatnet.apply.link.taps import opened
from flatnet.state.parts import GonePort
from tests.builders import interface, network
from tests.effects import BRIDGE, port
from tests.planned import host_plan, parted
from tests.waiting import eventually

OTHER = "tapaaaaaa02-aa"
# The keys of its guests are the names of their ports.
PLAN = parted(host_plan(ROWS, OPTIONS))


def heard(serving):
    """Everything that was told so far, without waiting."""
    os.set_blocking(serving._started.events, False)
    found = Happened()
    with contextlib.suppress(BlockingIOError):
        while True:
            found |= serving.wait_for_event()
    os.set_blocking(serving._started.events, True)
    return found


def settled(serving):
    """Let what a first pass did itself have its say."""
    assert serving.apply(PLAN, looked_at=()).made == ()
    heard(serving)


def found(changes, name):
    return next(each for each in changes.ports if each.name == name)


def test_a_guest_that_comes_is_about_its_port_alone(namespace, tmp_path):
    def plugged():
        with applier(tmp_path, tmp_path / "log") as serving:
            settled(serving)
            with opened(PORT):
                assert serving.wait_for_event() == Happened(ports=(PORT,))
                changes = serving.apply(PLAN, looked_at=(PORT,))
                assert [each.name for each in changes.ports] == [PORT]
                assert found(changes, PORT).carrier
            assert serving.wait_for_event() == Happened(ports=(PORT,))
            return serving.apply(PLAN, looked_at=(PORT,))

    assert not found(namespace.call(plugged), PORT).carrier


def test_what_is_done_to_a_port_is_about_it_alone(namespace, tmp_path):
    def twisted():
        with applier(tmp_path, tmp_path / "log") as serving:
            settled(serving)
            for twist in ("down", "nomaster", "address 02:00:00:00:00:77"):
                output(f"ip link set {PORT} {twist}")
                assert serving.wait_for_event().ports == (PORT,)
                changes = serving.apply(PLAN, looked_at=(PORT,))
                assert changes.failures == ()
                assert found(changes, PORT).found == "up"
                assert any(PORT in str(line) for line in changes.made)
                heard(serving)

    namespace.call(twisted)


def test_a_foreign_port_that_joins_is_about_no_guest(namespace, tmp_path):
    def joined():
        with applier(tmp_path, tmp_path / "log") as serving:
            settled(serving)
            output("ip link add vnet0 type veth peer name far0")
            output("ip link set vnet0 master br100 up")
            assert serving.wait_for_event() == HOST
            changes = serving.apply(PLAN, looked_at=())
            assert changes.failures == ()
            assert changes.made == ()
            output("ip link set vnet0 nomaster")
            assert serving.wait_for_event() == HOST
            after = serving.apply(PLAN, looked_at=())
            return changes.warnings, after.warnings

    (warning,), after = namespace.call(joined)
    assert warning.startswith("port vnet0 of br100 is closed")
    assert after == ()


def test_a_bridge_of_somebody_elses_leads_elsewhere_at_once(
    namespace, tmp_path
):
    listed = "nft list set inet flatnet elsewhere"

    def made():
        with applier(tmp_path, tmp_path / "log") as serving:
            settled(serving)
            assert "adm0" not in output(listed)
            output("ip link add adm0 type bridge")
            assert serving.wait_for_event() == HOST
            assert '"adm0"' in output(listed)
            # What is ours under another name has its guests still.
            output("ip link set br100 name br101")
            output("ip link del adm0")
            eventually(lambda: "adm0" not in output(listed))
            assert "br101" not in output(listed)

    namespace.call(made)


def test_nothing_is_lost_that_is_done_during_passes(namespace, tmp_path):
    """Which are about somebody else, and follow one another."""

    def during(serving, name):
        with subprocess.Popen(["ip", "link", "set", name, "down"]) as act:
            while act.poll() is None:
                serving.apply(PLAN, looked_at=(OTHER,))
            serving.apply(PLAN, looked_at=(OTHER,))
            told = Happened()
            while name not in told.ports and told != ANYTHING:
                told |= serving.wait_for_event()
            assert told != ANYTHING
        serving.apply(PLAN, looked_at=(PORT,))
        return found(serving.apply(PLAN), PORT).found

    def acted():
        with applier(tmp_path, tmp_path / "log") as serving:
            settled(serving)
            return [during(serving, PORT) for _ in range(4)]

    assert namespace.call(acted) == ["up"] * 4


def test_a_pass_asks_for_no_other(namespace, tmp_path):
    """Whatever it makes and removes itself."""
    fewer = parted(
        host_plan(replace(ROWS, interfaces=(interface(2),)), OPTIONS)
    )
    gone = replace(fewer, gone={"1": GonePort(PORT)})

    def changed():
        with applier(tmp_path, tmp_path / "log") as serving:
            settled(serving)
            assert serving.apply(gone, looked_at=()).made
            assert serving.apply(PLAN, looked_at=()).made
            assert serving.apply(PLAN).made == ()
            # What is told next is what happens next.
            output(f"ip link set {OTHER} down")
            return serving.wait_for_event()

    assert namespace.call(changed) == Happened(ports=(OTHER,))


def test_a_port_that_is_undone_again_and_again_waits(namespace, tmp_path):
    log = tmp_path / "log"

    def fought():
        with applier(tmp_path, log) as serving:
            settled(serving)
            for _ in range(6):
                output(f"ip link set {PORT} down")
                assert serving.wait_for_event() == Happened(ports=(PORT,))
                changes = serving.apply(PLAN, looked_at=(PORT,))
                assert found(changes, PORT).found == "up"
            return changes.fights

    (fight,) = namespace.call(fought)
    assert (fight.what, fight.who) == (port(PORT), "somebody")
    assert fight.times == 6
    told = log.read_text()
    assert told.count("undoes again and again") == 1
    assert f"ERROR flatnet.applier port {PORT}: somebody undoes" in told


def test_who_undoes_addresses_is_named(namespace, tmp_path):
    """Of what other programs do with devices the kernel says less."""
    rows = replace(ROWS, networks=(network(enable_dhcp=False),))
    plan = parted(host_plan(rows, replace(OPTIONS, dhcp=True)))

    def fought():
        with applier(tmp_path, tmp_path / "log") as serving, IPRoute() as ip:
            assert serving.apply(plan).failures == ()
            heard(serving)
            address = {
                "index": socket.if_nametoindex("br100"),
                "address": "10.0.0.1",
                "prefixlen": 24,
            }
            for _ in range(6):
                ip.addr("del", **address)
                assert serving.wait_for_event()
                assert serving.apply(plan).failures == ()
            (fight,) = serving.apply(plan).fights
            name = Path("/proc/self/comm").read_text().strip()
            assert fight.who == f"{name} ({os.getpid()})"
            return fight.what

    assert namespace.call(fought) == BRIDGE


def test_rules_are_put_back_each_time_and_told_a_few_times(
    namespace, tmp_path
):
    log = tmp_path / "log"

    def fought():
        with applier(tmp_path, log) as serving:
            settled(serving)
            before = sorted(rules())
            for _ in range(8):
                output("iptables -D FORWARD 1")
                eventually(lambda: sorted(rules()) == before)
            return serving.apply(PLAN, looked_at=()).fights

    (fight,) = namespace.call(fought)
    assert fight.what == RULES
    assert fight.who.startswith("iptables (")
    assert fight.times == 8
    told = log.read_text()
    assert told.count("changed rules of flatnet") == 5
    assert told.count("firewall: iptables (") == 1
