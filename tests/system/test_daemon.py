"""The daemon when the world around it fails: it waits, says so, comes back.

Each test has a lab of its own, because it hurts it.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flatnet.lab.node import program
from flatnet.lab.readable import program_trees, readable
from tests.system.rows import allocate, new_instance, new_network

SECONDS = 60


def wait_until(condition, what):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def answers(lab):
    """Whether node1 answers within a few seconds."""
    config = str(lab.spec.control_conf)
    return asked(lab, "tests.system.ping", config, "node1").returncode == 0


def asked(lab, module, *arguments):
    """Run a client of ours where the broker is reached."""
    command = [sys.executable, "-W", "ignore", "-m", module, *arguments]
    return subprocess.run(
        lab.inside_control(command),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_a_broker_that_goes_and_comes_back(labs):
    lab = labs(nodes=1)
    new_network(lab)
    uuid = new_instance(lab, "vm_1", "node1")
    lab.broker.stop()
    wait_until(
        lambda: "AMQP" in lab.node(1).log_text, "the loss was not logged"
    )
    lab.broker.start()
    wait_until(lambda: answers(lab), "the daemon did not come back")
    [vif] = allocate(lab, uuid, "node1")
    assert vif["devname"] in lab.node(1).run("ip -br link")


def test_a_broker_that_is_not_there_at_the_start(labs):
    lab = labs(nodes=1)
    node = lab.node(1)
    new_network(lab)
    node.stop_daemon()
    lab.broker.stop()
    before = len(node.log_text)
    node.begin_daemon()
    wait_until(
        lambda: "Connection failed" in node.log_text[before:],
        "it did not say what it waits for",
    )
    # A boot goes on: the host stands, and who asks is told what is missing.
    wait_until(
        lambda: any("Connection failed" in line for line in node.notified),
        "it did not tell systemd what it waits for",
    )
    ready = node.notified.index("READY=1")
    assert node.notified[ready + 1].startswith(
        "STATUS=the host stands; waiting for the broker rabbit://guest:***@"
    )
    assert "is ready" not in node.log_text[before:]
    lab.broker.start()
    node.await_daemon()
    assert node.notified[-1] == "STATUS=serving host node1"
    allocate(lab, new_instance(lab, "vm_1", "node1"), "node1")


def test_a_broker_that_refuses_is_one_line_and_no_end(labs):
    lab = labs(nodes=1, options=(("reconcile_interval", "1"),))
    node = lab.node(1)
    new_network(lab)
    [vif] = allocate(lab, new_instance(lab, "vm_1", "node1"), "node1")
    node.stop_daemon()
    before = len(node.log_text)
    wrong = lab.broker.url.replace("guest:guest@", "guest:secret@")
    node.write_files(broker_url=wrong)
    node.begin_daemon()
    wait_until(lambda: said(node, before), "it did not say that it is refused")
    # It is as its rows say all the same, and stays so.
    assert "READY=1" in node.notified
    node.run(f"ip link del {vif['devname']}")
    wait_until(
        lambda: vif["devname"] in node.run("ip -br link"),
        "the port did not come back",
    )
    assert node.daemon_runs
    [line] = said(node, before)
    assert "ACCESS_REFUSED" in line
    assert "correct transport_url" in line
    assert "Traceback" not in node.log_text[before:]
    assert "secret" not in node.log_text[before:]


def said(node, before):
    """The lines of a node's log, after so many characters, on its broker."""
    lines = node.log_text[before:].splitlines()
    return [line for line in lines if "ERROR flatnet" in line]


def test_it_can_be_stopped_while_it_waits_for_the_broker(labs):
    lab = labs(nodes=1)
    node = lab.node(1)
    node.stop_daemon()
    lab.broker.stop()
    node.begin_daemon()
    wait_until(
        lambda: "Connection failed" in node.log_text, "it does not wait"
    )
    pid = node.daemon_pid
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not node.daemon_runs, "it did not stop")
    node.kill_daemon()


def test_a_killed_worker_of_the_applier_costs_nobody_anything(labs):
    """Not the next caller, and nobody is left alone until the timer."""
    lab = labs(nodes=1)
    node = lab.node(1)
    new_network(lab)
    allocate(lab, new_instance(lab, "vm_1", "node1"), "node1")
    (applier,) = children(node.daemon_pid)
    (worker,) = children(applier)
    os.kill(worker, signal.SIGKILL)
    allocate(lab, new_instance(lab, "vm_2", "node1"), "node1")
    (worker,) = children(applier)
    os.kill(worker, signal.SIGKILL)
    node.run("iptables -F FORWARD")
    wait_until(
        lambda: "flatnet" in node.run("iptables -S FORWARD"),
        "nobody put the rules back",
    )


def children(pid):
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


@pytest.mark.parametrize("executor", ["eventlet", "threading"])
def test_many_calls_at_once_by_either_executor(labs, executor):
    lab = labs(nodes=1, options=(("executor", executor),))
    new_network(lab)
    uuids = [new_instance(lab, f"vm_{n}", "node1") for n in range(30)]
    config = str(lab.spec.control_conf)
    done = asked(lab, "tests.system.burst", config, *uuids)
    assert done.returncode == 0, done.stderr
    addresses = done.stdout.split()
    assert len(set(addresses)) == 30
    hosts = lab.node(1).hosts_text().splitlines()
    assert sorted(line.split(",")[2] for line in hosts) == sorted(addresses)


def test_a_second_daemon_on_the_same_state_is_refused(labs):
    lab = labs(nodes=1)
    node = lab.node(1)
    done = node.attempt(
        [program("flatnet-manager"), "--config-file", str(node.spec.conf)]
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "another flatnet-manager is running" in done.stderr
    assert node.daemon_runs


def test_too_little_privilege_is_one_line(labs):
    lab = labs(nodes=1)
    node = lab.node(1)
    node.stop_daemon()
    command = [
        "setpriv",
        "--bounding-set=-net_admin",
        "--inh-caps=-net_admin",
        program("flatnet-manager"),
        "--config-file",
        str(node.spec.conf),
    ]
    done = node.attempt(readable(command, program_trees()))
    assert done.returncode == 1
    assert "CAP_NET_ADMIN" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_an_uplink_by_another_name_and_before_it_is_used(labs):
    """A mistake is named at the start, not by the first allocation."""
    other = "uplink-of-rack-7"
    lab = labs(nodes=1)
    node = lab.node(1)
    node.stop_daemon()
    node.run(f"ip link property add dev eth1 altname {other}")
    node.run("ip addr add 203.0.113.7/24 dev eth1")
    text = node.spec.conf.read_text()
    text = text.replace("flat_interface = eth1", f"flat_interface = {other}")
    text = text.replace("_interface = eth2", "_interface = eth9")
    node.spec.conf.write_text(text)
    before = len(node.log_text)
    node.start_daemon()
    log = node.log_text[before:]
    assert "uplink eth1 carries 203.0.113.7/24" in log
    assert "public_interface = 'eth9': there is no such device" in log
    node.run("ip addr del 203.0.113.7/24 dev eth1")
    new_network(lab)
    allocate(lab, new_instance(lab, "vm_1", "node1"), "node1")
    assert "master br100" in node.run("ip link show eth1")


def test_a_second_daemon_on_a_host_says_nothing_in_its_name(labs):
    """With a state_path of its own only the applier is in its way."""
    lab = labs(nodes=1)
    new_network(lab)
    uuid = new_instance(lab, "vm_1", "node1")
    allocate(lab, uuid, "node1")
    node = lab.node(1)
    second = node.spec.directory.parent / "second.conf"
    here = f"state_path = {node.spec.directory}\n"
    text = node.spec.conf.read_text()
    assert here in text
    second.write_text(text.replace(here, here.strip() + "-second\n"))
    done = node.attempt(
        readable(
            [program("flatnet-manager"), "--config-file", str(second)],
            program_trees(),
        )
    )
    assert done.returncode == 1
    assert "still works on this host" in done.stderr.splitlines()[-1]
    (row,) = json.loads(lab.cli("host", "list", "-f", "json"))
    assert (row["state"], row["reason"]) == ("ready", None)
    [vif] = lab.rpc().call(
        "get_instance_nw_info", instance_id=uuid, host="node1"
    )
    assert vif["active"]
