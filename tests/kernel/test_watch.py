"""What others change is put back at once, by a real applier process."""

import contextlib
import json
import os
import subprocess
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest

from flatnet.apply.applier_client import Applier, start_applier
from flatnet.state.plan import Uplink
from tests.builders import interface, network, settings, snapshot
from tests.planned import host_plan, parted
from tests.waiting import eventually

ROWS = snapshot(interfaces=(interface(1), interface(2)))
OPTIONS = settings(
    dhcp=False, allow_same_net_traffic=False, routing_source_ip=""
)


@contextmanager
def applier(directory, log):
    """An applier in this namespace with a plan in force."""
    with log.open("wb") as stream:
        os.dup2(stream.fileno(), 2)
    started = start_applier(
        networks_path=str(directory), dnsmasq_config_file="", top_regex=""
    )
    serving = Applier(started)
    try:
        wanted = parted(host_plan(ROWS, OPTIONS))
        assert serving.apply(wanted).failures == ()
        yield serving
    finally:
        serving.close()


def output(command):
    return subprocess.run(
        command.split(), capture_output=True, text=True, check=True
    ).stdout


def rules():
    """All rules that filter, without counters."""
    saved = (output("iptables-save"), output("ip6tables-save"))
    return [
        line
        for text in saved
        for line in text.splitlines()
        if line.startswith(("-A", ":flatnet"))
    ] + [
        line
        for line in output("nft list ruleset").splitlines()
        if "flatnet:" in line
    ]


@pytest.mark.parametrize("owned", [True, False])
def test_a_foreign_flush_is_mended_and_told(namespace, tmp_path, owned):
    log = tmp_path / "log"
    if not owned:
        for family in ("bridge", "inet", "arp"):
            namespace.run(f"nft add table {family} flatnet")

    def flushed():
        with applier(tmp_path, log) as serving:
            before = sorted(rules())
            assert "flatnet-local" in str(before)
            output("nft flush ruleset")
            # Before anybody could have mended it.
            tables = output("nft list tables")
            assert ("bridge flatnet" in tables) or not owned
            eventually(lambda: sorted(rules()) == before)
            assert serving.wait_for_event()

    namespace.call(flushed)
    told = log.read_text()
    assert " ERROR flatnet.applier nft (" in told
    assert "changed rules of flatnet" in told
    assert "mended: firewall iptables filter flatnet-FORWARD: written" in told


@pytest.mark.parametrize(
    "damage",
    [
        "iptables -F flatnet-local",
        "iptables -D FORWARD 1",
        "ip6tables -F",
        "iptables -t filter -I FORWARD -j ACCEPT",
        # What the services of distributions do at a restart.
        "iptables-restore {empty}",
        "ip6tables-restore {empty}",
    ],
)
def test_whoever_did_it(namespace, tmp_path, damage):
    empty = tmp_path / "empty"
    empty.write_text("*filter\nCOMMIT\n")

    def damaged():
        with applier(tmp_path, tmp_path / "log"):
            before = sorted(rules())
            output(damage.format(empty=empty))
            eventually(
                lambda: (tmp_path / "log").read_text().count("changed rules")
            )
            eventually(lambda: set(rules()) >= set(before))

    namespace.call(damaged)


def test_what_touches_rules_and_changes_none_is_no_alarm(namespace, tmp_path):
    """A policy is others' own, and theirs alone to set."""
    log = tmp_path / "log"

    def touched():
        with applier(tmp_path, log) as serving:
            before = sorted(rules())
            for _ in range(6):
                done = log.read_text().count("touched rules of flatnet")
                output("iptables -P FORWARD DROP")
                output("iptables -P FORWARD ACCEPT")
                eventually(
                    lambda done=done: log.read_text().count("touched") > done
                )
            assert sorted(rules()) == before
            return serving.apply(parted(host_plan(ROWS, OPTIONS, {}))).fights

    assert namespace.call(touched) == ()
    told = log.read_text()
    assert "changed rules of flatnet" not in told
    assert " ERROR " not in told


PORT = "tapaaaaaa01-aa"
TWISTS = (
    f"ip link set {PORT} down",
    f"ip link set {PORT} nomaster",
    f"ip link set {PORT} address 02:00:00:00:00:77",
    f"ip link delete {PORT}",
    "ip link set br100 down",
    "ip link set br100 arp off",
    "ip link set br100 mtu 1300",
    "ip link set br100 type bridge stp_state 1",
    "ip link set br100 type bridge nf_call_iptables 0",
    "ip link delete br100",
    "ip address delete 10.0.0.1/24 dev br100",
    "ip link set up0 down",
    "ip link set up0 nomaster",
    "ip link set up0 down name lan0",
)


@pytest.mark.parametrize("twist", TWISTS)
def test_what_is_done_to_devices_asks_for_a_pass_that_mends_it(
    namespace, tmp_path, twist
):
    """Not at the next tick of a timer."""
    namespace.run("ip link add up0 type veth peer name up1")
    options = replace(
        OPTIONS, dhcp=True, flat_interface="up0", public_interface="up0"
    )
    rows = replace(ROWS, networks=(network(enable_dhcp=False),))
    plan = host_plan(rows, options, {"up0": Uplink("up0", 1500)})

    def state():
        shown = json.loads(output("ip -j -d address"))
        return sorted(
            json.dumps({name: link.get(name) for name in SHOWN})
            for link in shown
            if link["ifname"] not in ("lo", "up1")
        )

    def twisted():
        with applier(tmp_path, tmp_path / "log") as serving:
            assert serving.apply(parted(plan)).failures == ()
            before = state()
            _drain(serving)
            output(twist)
            assert serving.wait_for_event()
            eventually(lambda: _mended(serving, plan))
            return before, state()

    before, after = namespace.call(twisted)
    assert before == after


SHOWN = ("ifname", "flags", "mtu", "address", "ifalias", "addr_info")


def _drain(serving):
    """Wait until what a pass did itself has had its say."""
    os.set_blocking(serving._started.events, False)
    time.sleep(0.5)
    with contextlib.suppress(BlockingIOError):
        os.read(serving._started.events, 4096)
    os.set_blocking(serving._started.events, True)


def _mended(serving, plan):
    # As a pass of everything begins.
    serving.uplinks(("up0",))
    return serving.apply(parted(plan)).failures == ()


def test_a_rule_that_iptables_cannot_read_is_mended_once(namespace, tmp_path):
    log = tmp_path / "log"

    def put():
        with applier(tmp_path, log) as serving:
            output("nft insert rule ip filter FORWARD ct state new accept")
            done = "mended: firewall iptables filter FORWARD: set the jumps"
            eventually(lambda: done in log.read_text())
            assert serving.wait_for_event()
            changes = serving.apply(parted(host_plan(ROWS, OPTIONS, {})))
            assert (changes.made, changes.failures) == ((), ())
            assert "nft delete rule ip filter FORWARD" in changes.warnings[0]

    namespace.call(put)
    assert log.read_text().count("changed rules of flatnet") == 1
    assert log.read_text().count("mended: ") == 1


def members(name):
    return output(f"nft list set bridge flatnet {name}")


def test_ports_that_join_later_and_renames_count_at_once(namespace, tmp_path):
    log = tmp_path / "log"

    def joined():
        with applier(tmp_path, log):
            output("ip link add vnet0 type veth peer name far0")
            output("ip link set vnet0 master br100 up")
            eventually(lambda: "vnet0" in members("closed"))
            output("ip link set vnet0 name lan0")
            eventually(lambda: "lan0" in members("closed"))
            assert "vnet0" not in members("closed")
            output("ip link set lan0 nomaster")
            eventually(lambda: "lan0" not in members("closed"))

    namespace.call(joined)
    assert "port vnet0 of br100 is closed" in log.read_text()


def test_an_admins_bridge_gets_an_uplink_at_any_time(namespace, tmp_path):
    namespace.run("ip link add br100 up type bridge")

    def joined():
        with applier(tmp_path, tmp_path / "log"):
            output("ip link add eth7 type veth peer name far0")
            output("ip link set eth7 master br100 up")
            eventually(lambda: "eth7" in members("uplinks"))

    namespace.call(joined)
