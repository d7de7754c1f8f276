"""dnsmasq from any state to the plan, and nothing else touched."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from dhcp_hosts import MAC_1, MAC_2, line, lives, serving_host

from flatnet.apply.dhcp.daemons import Running
from flatnet.state.effects import Effect, Surface, Verb
from tests.effects import RELOADED, STARTED, STOPPED
from tests.waiting import eventually


@pytest.fixture
def host(namespaces, tmp_path):
    with serving_host(namespaces, tmp_path) as host:
        yield host


def killed(host):
    """Kill the dnsmasq that the pid file names; return its pid."""
    pid = host.pid
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not lives(pid))
    return pid


def identity(directory):
    """What replacing or touching any file in there would change."""
    return {
        each.name: (each.stat().st_ino, each.stat().st_mtime_ns)
        for each in directory.iterdir()
    }


@contextlib.contextmanager
def tcp_questions(host, count=3):
    """Connections that dnsmasq forks a process for; the pids of those."""
    code = (
        "import socket, sys\n"
        "held = [socket.create_connection(('10.0.0.1', 53)) "
        f"for _ in range({count})]\n"
        "print(flush=True)\n"
        "sys.stdin.read()\n"
    )
    children = Path(f"/proc/{host.pid}/task/{host.pid}/children")
    asking = host.namespace.start(
        *("python3", "-c", code),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    asking.stdout.readline()
    eventually(lambda: len(children.read_text().split()) == count)
    yield [int(each) for each in children.read_text().split()]
    asking.kill()
    asking.wait()


def test_twice_is_once_and_more_is_a_reload(host, namespaces, tmp_path):
    host.apply(line(1))
    pid = host.pid
    before = identity(host.path)
    assert host.apply(line(1)) == ()
    assert identity(host.path) == before
    made = host.apply(line(1), line(2))
    assert made == (
        Effect(Surface.FILE, Verb.WRITTEN, "flatnet-br100.hosts"),
        RELOADED,
    )
    assert host.pid == pid
    guest = host.guest(namespaces(), MAC_2, tmp_path / "vm_2")
    assert guest.lease()["ip"] == "10.0.0.3"


def test_a_crash_before_the_reload_costs_a_reload(
    host, namespaces, tmp_path, monkeypatch
):
    host.apply()
    with monkeypatch.context() as patch:
        patch.setattr(Running, "signal", lambda *_: os._exit(1))
        with pytest.raises(AssertionError, match="no answer"):
            host.apply(line(1))
    assert host.apply(line(1)) == (RELOADED,)
    assert host.apply(line(1)) == ()
    guest = host.guest(namespaces(), MAC_1, tmp_path / "vm_1")
    assert guest.lease()["ip"] == "10.0.0.2"


def test_a_killed_one_comes_back_and_another_line_restarts(host):
    host.apply(line(1))
    killed(host)
    assert host.apply(line(1)) == (STARTED,)
    again = host.pid
    made = host.apply(server=replace(host.server, lease_time=7200))
    assert STARTED in made
    assert not lives(again)


def test_one_that_somebody_stopped_goes_on(host, namespaces, tmp_path):
    host.apply(line(1))
    os.kill(host.pid, signal.SIGSTOP)
    assert len(host.apply(line(1))) == 1
    assert host.apply(line(1)) == ()
    guest = host.guest(namespaces(), MAC_1, tmp_path / "vm_1")
    assert guest.lease()["ip"] == "10.0.0.2"


def test_what_leaves_the_plan_goes_with_its_files(host):
    host.apply(line(1))
    pid = host.pid
    (host.path / ".flatnet-br100.hosts.half").write_text("written")
    (host.path / "others").write_text("text")
    assert STOPPED in host.apply_all()
    assert not lives(pid)
    assert [each.name for each in host.path.iterdir()] == ["others"]


def test_a_bridge_that_is_not_ready_keeps_what_it_has(host):
    host.apply(line(1))
    pid, before = host.pid, identity(host.path)
    server = replace(host.server, lease_time=7200)
    assert host.apply_all(server, skip=["br100"]) == ()
    assert lives(pid)
    assert identity(host.path) == before


def test_a_bridge_that_was_made_again_is_served(host, namespaces, tmp_path):
    host.apply(line(1))
    host.namespace.run("ip link del br100")
    assert "there is no bridge br100" in host.failure(line(1))
    host.make_bridge("10.0.0.1")
    assert STARTED in host.apply(line(1))
    guest = host.guest(namespaces(), MAC_1, tmp_path / "vm_1")
    assert guest.lease()["ip"] == "10.0.0.2"


def test_it_listens_on_the_bridges_address_alone(host):
    host.namespace.run("ip addr add 192.0.2.1/24 dev br100")
    eventually(
        lambda: "tentative" not in host.namespace.run("ip addr show br100")
    )
    host.apply(line(1))
    assert host.listens() == ["0.0.0.0%br100:67", "10.0.0.1:53"]
    host.namespace.run("ip addr del 10.0.0.1/24 dev br100")
    host.namespace.run("ip addr add 10.0.0.9/24 dev br100")
    moved = {"address": "10.0.0.9", "router": "10.0.0.9"}
    host.apply(server=replace(host.server, **moved))
    assert host.listens() == ["0.0.0.0%br100:67", "10.0.0.9:53"]


def test_questions_by_tcp_neither_delay_a_pass_nor_end(host):
    host.apply(line(1))
    with tcp_questions(host) as forked:
        assert host.apply(line(1)) == ()
        assert all(lives(pid) for pid in forked)


def test_what_dnsmasq_forked_is_not_taken_for_it(host, namespaces, tmp_path):
    host.apply(line(1))
    with tcp_questions(host) as forked:
        killed(host)
        assert STARTED in host.apply(line(1))
        assert not any(lives(pid) for pid in forked)
    guest = host.guest(namespaces(), MAC_1, tmp_path / "vm_1")
    assert guest.lease()["ip"] == "10.0.0.2"


def test_a_stale_pid_file_costs_nobody_anything(host):
    host.apply(line(1))
    killed(host)
    with subprocess.Popen(["sleep", "60"]) as innocent:
        (host.path / "flatnet-br100.pid").write_text(f"{innocent.pid}\n")
        assert host.apply(line(1)) == (STARTED,)
        (host.path / "flatnet-br100.pid").write_text(f"{innocent.pid}\n")
        host.apply(line(1), line(2))
        host.apply_all()
        assert innocent.poll() is None
        innocent.kill()


def test_a_foreign_dnsmasq_stays_and_is_in_nobodys_way(host, tmp_path):
    host.namespace.run("ip addr add 192.0.2.1/24 dev br100")
    host.namespace.run(
        "dnsmasq --conf-file=/dev/null --bind-interfaces "
        f"--listen-address=192.0.2.1 --pid-file={tmp_path}/foreign.pid"
    )
    foreign = int((tmp_path / "foreign.pid").read_text())
    host.apply(line(1))
    host.apply_all()
    assert lives(foreign)


def test_what_keeps_dnsmasq_from_starting_is_told(host, tmp_path):
    host.namespace.run(
        "dnsmasq --conf-file=/dev/null --bind-interfaces "
        f"--listen-address=10.0.0.1 --pid-file={tmp_path}/foreign.pid"
    )
    foreign = int((tmp_path / "foreign.pid").read_text())
    assert host.failure(line(1)) == (
        "dnsmasq: failed to create listening socket for 10.0.0.1: Address "
        "already in use"
    )
    os.kill(foreign, signal.SIGTERM)
    eventually(lambda: not lives(foreign))
    assert host.apply(line(1)) == (STARTED,)


def test_a_directory_that_dnsmasq_cannot_enter_is_named(host):
    parent = host.path.parent
    os.chmod(parent, 0o700)
    assert f"chmod o+x {parent}" in host.failure(line(1))
    os.chmod(parent, 0o755)
    host.apply(line(1))


def test_missing_tools_are_named(host, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("flatnet.apply.command._PATH", "/nowhere")
        assert "apt-get install dnsmasq-base" in host.failure(line(1))


def second_one(host):
    """Run one of another command line on the same files, if one runs."""
    arguments = Path(f"/proc/{host.pid}/cmdline").read_text().split("\0")
    if len(arguments) == 1:
        return
    killed(host)
    host.namespace.run(*arguments[:-1], "--log-queries")


def bridge_made_again(host):
    host.namespace.run("ip link del br100")
    host.make_bridge("10.0.0.1")


def damaged(name, text):
    return lambda host: (host.path / f"flatnet-{name}").write_text(text)


DAMAGE = {
    "killed": killed,
    "ended": lambda host: os.kill(host.pid, signal.SIGTERM),
    "second": second_one,
    "bridge": bridge_made_again,
    "directory": lambda host: shutil.rmtree(host.path),
    "closed": lambda host: (host.path / "flatnet-br100.hosts").chmod(0),
    "hosts": damaged("br100.hosts", "fa:16:3e:00:00:01,10.0.0.77\n"),
    "names": damaged("br100.names", ""),
    "leases": damaged("br100.leases", "rubbish\n1 2 3 4 5\n"),
    "pid": damaged("br100.pid", "1\n"),
    "mark": damaged("br100.reload", ""),
    "stray": damaged("br999.hosts", "x\n"),
}


@pytest.mark.parametrize("seed", range(8))
def test_from_anything_to_the_plan(host, namespaces, tmp_path, seed):
    plan = (line(1, "vm_1"), line(2))
    host.apply(*plan)
    texts = {
        each: each.read_text()
        for each in host.path.iterdir()
        if each.suffix in (".hosts", ".names")
    }
    # In this order what needs the pid file comes before what spoils it.
    chosen = random.Random(seed).sample(range(len(DAMAGE)), 4)
    for name in [list(DAMAGE)[number] for number in sorted(chosen)]:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            DAMAGE[name](host)
    host.apply(*plan)
    assert host.apply(*plan) == ()
    assert {each: each.read_text() for each in texts} == texts
    assert not (host.path / "flatnet-br999.hosts").exists()
    guest = host.guest(namespaces(), MAC_1, tmp_path / "vm_1")
    assert guest.lease()["ip"] == "10.0.0.2"
