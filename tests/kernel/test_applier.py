"""The applier process: one peer, one message, and deaths that cost little."""

import os
import signal
import socket
import time
from dataclasses import replace

import pytest

from flatnet.apply import channel
from flatnet.apply.applier_client import Applier, start_applier
from flatnet.exceptions import ApplierUnavailable, HostSetupError
from flatnet.state.filtering import Outside
from flatnet.state.plan import Bridge, Plan, Uplink
from tests.builders import interface, settings, snapshot
from tests.planned import host_plan, parted

PLAN = Plan(
    host="node1",
    bridges=(Bridge("br100", "net-1", "02:00:00:00:00:01", 1500),),
)


def with_applier(use, directory):
    """Start an applier here, return what `use(applier, started)` does."""
    started = start_applier(
        networks_path=str(directory), dnsmasq_config_file="", top_regex=""
    )
    applier = Applier(started)
    try:
        return use(applier, started)
    finally:
        applier.close()
        assert started.process.returncode == 0


def worker_of(pid):
    """The pid of the one worker that the applier `pid` has forked."""
    path = f"/proc/{pid}/task/{pid}/children"
    with open(path, encoding="ascii") as stream:
        (worker,) = stream.read().split()
    return int(worker)


def bridge_names(namespace):
    links = namespace.json("ip", "-j", "link", "show", "type", "bridge")
    return [link["ifname"] for link in links if link]


def test_a_plan_goes_in_and_changes_come_out(namespace, tmp_path):
    def twice(applier, started):
        return applier.apply(parted(PLAN)), applier.apply(parted(PLAN))

    first, second = namespace.call(with_applier, twice, tmp_path)
    assert first.failures == second.failures == ()
    assert first.made
    assert second.made == ()
    assert bridge_names(namespace) == ["br100"]


def test_uplinks_that_exist_are_told(namespace, tmp_path):
    namespace.run("ip link add up0 mtu 1400 type veth peer name up1")

    def ask(applier, started):
        return applier.uplinks(("none0", "up0"))

    answer = namespace.call(with_applier, ask, tmp_path)
    assert answer == (Uplink("up0", 1400),)


def test_a_killed_worker_costs_nobody_anything(namespace, tmp_path):
    """The daemon hears of it at once, for nobody puts rules back meanwhile."""

    def kill(applier, started):
        applier.apply(parted(PLAN))
        os.kill(worker_of(started.process.pid), signal.SIGKILL)
        assert applier.wait_for_event().everything
        assert not applier.is_gone
        return applier.apply(parted(PLAN))

    assert namespace.call(with_applier, kill, tmp_path).failures == ()


def test_rubbish_is_refused_and_changes_nothing(namespace, tmp_path):
    def rubbish(applier, started):
        # One at a time is served.
        applier._disconnect()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(started.address)
            body = b'{"work": {"number": 7, "delta": "rm -rf"}}'
            connection.sendall(len(body).to_bytes(4, "big") + body)
            with pytest.raises(ApplierUnavailable):
                channel.receive_reply(connection)
        return applier.apply(parted(PLAN))

    assert namespace.call(with_applier, rubbish, tmp_path).failures == ()


def test_only_the_daemon_that_started_it_is_answered(namespace, tmp_path):
    def stranger(address):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(address)
            channel.send(connection, channel.Request())
            with pytest.raises(ApplierUnavailable):
                channel.receive_reply(connection)
        return 0

    def ask(applier, started):
        applier._disconnect()
        child = os.fork()
        if child == 0:
            os._exit(stranger(started.address))
        _, status = os.waitpid(child, 0)
        assert status == 0
        return applier.uplinks(())

    assert namespace.call(with_applier, ask, tmp_path) == ()


def test_it_ends_when_the_daemon_dies(namespace, tmp_path):
    def die(directory):
        started = start_applier(
            networks_path=str(directory), dnsmasq_config_file="", top_regex=""
        )
        Applier(started).uplinks(())
        return started.process.pid

    pid = namespace.call(die, tmp_path)
    deadline = time.monotonic() + 10
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not os.path.exists(f"/proc/{pid}")


FILTERED = host_plan(
    snapshot(interfaces=(interface(1),)),
    settings(allow_same_net_traffic=False, dhcp=False),
    {},
)


ATTACKS = (
    replace(
        FILTERED,
        filter=replace(
            FILTERED.filter,
            outside=Outside(
                source_ip="192.0.2.1",
                public_interface="x\n-F FORWARD\n-A FORWARD",
            ),
        ),
    ),
    replace(
        FILTERED,
        guard=replace(
            FILTERED.guard,
            networks=(
                replace(
                    FILTERED.guard.networks[0],
                    mac="02:00:00:00:00:01 }\nflush ruleset\n#",
                ),
            ),
        ),
    ),
    replace(
        FILTERED,
        guard=replace(
            FILTERED.guard,
            networks=(
                replace(
                    FILTERED.guard.networks[0],
                    cidr='10.0.0.0/24\ninclude "/etc/shadow"',
                ),
            ),
        ),
    ),
)


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_plan_that_would_say_more_is_refused_whole(
    namespace, tmp_path, attack
):
    namespace.run("iptables -A FORWARD -s 192.0.2.7 -j DROP")
    namespace.run("nft add table inet theirs")

    def refused(applier, started):
        with pytest.raises(HostSetupError) as error:
            applier.apply(parted(attack))
        return str(error.value)

    before = namespace.run("nft list ruleset")
    text = namespace.call(with_applier, refused, tmp_path)
    assert text.startswith("a plan is refused whole: ")
    assert "\n" not in text
    assert namespace.run("nft list ruleset") == before
