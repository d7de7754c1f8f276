"""What changes without an event is seen all the same, within moments."""

import contextlib
import os
import shutil
import signal
import socket
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from test_watch import OPTIONS, PORT, ROWS, applier, output

from flatnet.apply import worker
from flatnet.state.parts import GonePort
from tests.builders import snapshot
from tests.effects import was_set
from tests.planned import host_plan, parted
from tests.waiting import eventually

OTHER = "tapaaaaaa02-aa"
GOING = {"1": GonePort(PORT), "2": GonePort(OTHER)}
# Seconds in which a probe has looked.
PROBED = 1.5


@pytest.fixture
def directory():
    """A directory that dnsmasq, which is nobody, can enter."""
    with tempfile.TemporaryDirectory(prefix="fnt-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def opened(pid):
    """The files that a process has open."""
    found = set()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        # One that it reads anew may be closed by now.
        with contextlib.suppress(FileNotFoundError):
            found.add(os.readlink(each))
    return found


@pytest.mark.parametrize(
    "damage",
    [
        "ipset flush flatnet-filtered4",
        "ipset del flatnet-filtered4 10.0.0.2",
        "ipset flush",
        "ipset add flatnet-every4 10.0.0.0/8 nomatch",
        "ipset add flatnet-filtered4 0.0.0.0/1",
    ],
)
@pytest.mark.parametrize("is_heard", [True, False])
def test_what_is_done_to_sets_is_seen(
    namespace, tmp_path, monkeypatch, damage, is_heard
):
    """By the end of the command, or by a probe where it is another's."""
    unheard = str(shutil.copy(shutil.which("ipset"), tmp_path))
    if not is_heard:
        damage = damage.replace("ipset", unheard)
    monkeypatch.setattr(worker, "_PROBE", 1000 if is_heard else 0.9)

    def sets():
        return sorted(output(f"{unheard} save").splitlines())

    def damaged():
        with applier(tmp_path, tmp_path / "log") as serving:
            before = sets()
            output(damage)
            assert is_heard or sets() != before
            eventually(lambda: sets() == before)
            assert serving.wait_for_event()

    namespace.call(damaged)
    assert "somebody (by ipset)" in (tmp_path / "log").read_text()


def test_settings_that_let_packets_pass_the_filter_are_put_back(
    namespace, tmp_path
):
    name = "net.bridge.bridge-nf-call-iptables"

    def flipped():
        with applier(tmp_path, tmp_path / "log") as serving:
            output(f"sysctl -w {name}=0")
            eventually(lambda: output(f"sysctl -n {name}") == "1\n")
            assert serving.wait_for_event()

    namespace.call(flipped)
    assert str(was_set(name, "1")) in (tmp_path / "log").read_text()


def test_a_port_that_gets_ipv6_asks_for_a_pass(namespace, tmp_path):
    name = f"net.ipv6.conf.{PORT}.disable_ipv6"

    def flipped():
        with applier(tmp_path, tmp_path / "log") as serving:
            output(f"sysctl -w {name}=0")
            assert serving.wait_for_event()
            assert serving.apply(parted(host_plan(ROWS, OPTIONS))).made
            assert output(f"sysctl -n {name}") == "1\n"

    namespace.call(flipped)


@pytest.mark.parametrize("rubbish", ["x", "1 2", "-1"])
def test_what_a_server_wrote_as_its_pid_ends_nobody(
    namespace, directory, rubbish
):
    """Whoever took it over may have written anything there."""
    wanted = parted(host_plan(ROWS, replace(OPTIONS, dhcp=True)))
    none = parted(host_plan(snapshot(networks=(), host_addresses=()), OPTIONS))
    path = directory / "flatnet-br100.pid"

    def hit():
        with applier(directory, directory / "log") as serving:
            assert serving.apply(wanted).failures == ()
            pid = int(path.read_text())
            path.write_text(rubbish)
            os.kill(pid, signal.SIGKILL)
            assert serving.wait_for_event()
            assert serving.apply(wanted).failures == ()
            assert serving.apply(replace(none, gone=GOING)).failures == ()

    namespace.call(hit)
    assert "cannot go on" not in (directory / "log").read_text()


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_a_server_that_stops_or_ends_is_noticed(namespace, directory, number):
    wanted = parted(host_plan(ROWS, replace(OPTIONS, dhcp=True)))
    none = parted(host_plan(snapshot(networks=(), host_addresses=()), OPTIONS))

    def state(pid):
        status = Path(f"/proc/{pid}/stat").read_bytes()
        return status.rpartition(b")")[2].split()[0]

    def pid():
        return int((directory / "flatnet-br100.pid").read_text())

    def hit():
        with applier(directory, directory / "log") as serving:
            assert serving.apply(wanted).failures == ()
            first = pid()
            os.kill(first, number)
            assert serving.wait_for_event()
            assert serving.apply(wanted).failures == ()
            assert state(pid()) != b"T"
            again = pid() != first
            assert serving.apply(replace(none, gone=GOING)).failures == ()
            return again

    assert namespace.call(hit) == (number == signal.SIGKILL)


@pytest.mark.parametrize(
    ("kind", "port"),
    [
        (socket.SOCK_DGRAM, ("", 67)),
        (socket.SOCK_DGRAM, ("10.0.0.1", 53)),
        (socket.SOCK_STREAM, ("10.0.0.1", 53)),
    ],
)
def test_a_port_of_a_server_that_is_free_again_asks_for_a_pass(
    namespace, directory, kind, port
):
    wanted = parted(host_plan(ROWS, replace(OPTIONS, dhcp=True)))
    none = parted(host_plan(snapshot(networks=(), host_addresses=()), OPTIONS))
    log = directory / "log"

    def bound(theirs):
        with contextlib.suppress(OSError):
            theirs.bind(port)
            return True
        return False

    def taken():
        with applier(directory, log) as serving:
            assert serving.apply(wanted).failures == ()
            with socket.socket(socket.AF_INET, kind) as theirs:
                os.kill(
                    int((directory / "flatnet-br100.pid").read_text()),
                    signal.SIGKILL,
                )
                eventually(lambda: bound(theirs))
                if kind == socket.SOCK_STREAM:
                    theirs.listen()
                failures = serving.apply(wanted).failures
                early = "free again" in log.read_text()
            eventually(lambda: "free again" in log.read_text())
            assert serving.wait_for_event()
            assert serving.apply(wanted).failures == ()
            assert serving.apply(replace(none, gone=GOING)).failures == ()
            return early, len(failures)

    assert namespace.call(taken) == (False, 1)


@pytest.mark.parametrize(
    "damage",
    [
        "truncate -s 0 {}.hosts",
        "rm {}.hosts",
        "rm {}.names",
        "cp {}.names {}.hosts",
        "rm {}.pid",
        "rm {}.leases",
    ],
)
def test_what_is_done_to_files_of_a_server_is_seen_and_mended(
    namespace, directory, damage
):
    """Whoever holds the old leases file writes where nobody can read."""
    wanted = parted(host_plan(ROWS, replace(OPTIONS, dhcp=True)))
    none = parted(host_plan(snapshot(networks=(), host_addresses=()), OPTIONS))
    stem = str(directory / "flatnet-br100")

    def state():
        pid = int(Path(f"{stem}.pid").read_text())
        return (
            Path(f"{stem}.hosts").read_text(),
            Path(f"{stem}.names").read_text(),
            f"{stem}.leases" in opened(pid),
        )

    def damaged():
        with applier(directory, directory / "log") as serving:
            assert serving.apply(wanted).failures == ()
            before = state()
            output(damage.format(stem, stem))
            log = directory / "log"
            # Which a thread writes, perhaps after the event.
            eventually(lambda: "written or removed" in log.read_text())
            assert serving.wait_for_event()
            assert serving.apply(wanted).failures == ()
            found = state()
            assert serving.apply(wanted).made == ()
            assert serving.apply(replace(none, gone=GOING)).failures == ()
            return before, found

    before, found = namespace.call(damaged)
    assert before == found
    assert before[2]


def test_a_file_that_is_removed_again_is_missed_again(namespace, directory):
    """Though no probe has seen it there in between."""
    wanted = parted(host_plan(ROWS, replace(OPTIONS, dhcp=True)))
    none = parted(host_plan(snapshot(networks=(), host_addresses=()), OPTIONS))
    path = directory / "flatnet-br100.hosts"

    def removed():
        with applier(directory, directory / "log") as serving:
            assert serving.apply(wanted).failures == ()
            for _ in range(3):
                path.unlink()
                assert serving.wait_for_event()
                assert serving.apply(wanted).failures == ()
                assert path.exists()
            assert serving.apply(replace(none, gone=GOING)).failures == ()

    namespace.call(removed)


def test_a_route_that_is_flushed_is_back(namespace, directory):
    """Nobody tells of it, and the address stays."""
    wanted = parted(host_plan(ROWS, replace(OPTIONS, dhcp=True)))
    none = parted(host_plan(snapshot(networks=(), host_addresses=()), OPTIONS))

    def route():
        return output("ip route show 10.0.0.0/24")

    def flushed():
        with applier(directory, directory / "log") as serving:
            assert serving.apply(wanted).failures == ()
            before = route()
            assert before.startswith("10.0.0.0/24 dev br100 proto kernel")
            output("ip route flush table main")
            assert not route()
            eventually(lambda: route() == before)
            # What stands is not written again, nor is what others made of it.
            output("ip link add theirs0 type veth peer name their0")
            output("ip link set theirs0 up")
            output("ip route replace 10.0.0.0/24 dev theirs0")
            theirs = route()
            time.sleep(PROBED)
            assert route() == theirs
            assert serving.apply(replace(none, gone=GOING)).failures == ()

    namespace.call(flushed)
    told = (directory / "log").read_text()
    assert told.count("bridge br100: added the route to 10.0.0.0/24") == 1
