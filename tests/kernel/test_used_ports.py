"""A port that somebody uses outlives whatever rows are missing."""

import os
import select
import socket
import subprocess
import sys
from dataclasses import replace

import pytest
from bridged import apply, links, plan, reach, state, tap, veth
from test_host import OPTIONS, ROWS, Path, tempfile
from test_watch import applier, rules

from flatnet.apply.link.links import link_pass
from flatnet.apply.link.port_usage import is_used
from flatnet.exceptions import HostSetupError
from flatnet.state.effects import Effect, Surface, Verb
from flatnet.state.plan import Plan
from tests.builders import interface, snapshot
from tests.planned import host_plan, parted
from tests.waiting import eventually

# Opens a tap as a hypervisor does, says so, and writes back what it reads;
# with "off" it takes the carrier away, as QEMU does for `set_link off`.
HOLDER = """
import fcntl, os, struct, sys
handle = os.open("/dev/net/tun", os.O_RDWR)
request = struct.pack("16sH22x", sys.argv[1].encode(), 0x1002)
fcntl.ioctl(handle, 0x400454CA, request)
if sys.argv[2] == "off":
    fcntl.ioctl(handle, 0x400454E2, struct.pack("i", 0))
print("open", flush=True)
while True:
    os.write(1, os.read(handle, 65536)[:14])
"""


def hold(namespace, port, link="on"):
    """Hold a tap of the namespace open; return the process."""
    process = namespace.start(
        *(sys.executable, "-c", HOLDER, port.name, link),
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"open\n"
    return process


def hears(namespace, process, port):
    """Whether a frame of the host reaches the holder of a port."""
    head = b"\xff" * 6 + b"\2" * 6 + b"\x88\xb5"

    def send():
        eventually(lambda: links(namespace)[port.name]["operstate"] == "UP")
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
            raw.bind((port.name, 0))
            raw.send(head + bytes(46))

    namespace.call(send)
    # Others speak on the bridge too.
    while select.select([process.stdout], [], [], 5)[0]:
        if os.read(process.stdout.fileno(), len(head)) == head:
            return True
    return False


def is_up(namespace, port):
    return "UP" in links(namespace)[port.name]["flags"]


# Another one that is known, so that the plan is of this host.
KNOWN = tap(9)


@pytest.mark.parametrize("link", ["on", "off"])
def test_a_tap_in_use_that_no_row_knows_is_kept_down(namespace, link):
    reach(namespace, plan(tap(1), tap(2), KNOWN))
    process = hold(namespace, tap(1), link)
    changes = apply(namespace, plan(KNOWN))
    assert changes.made == (
        Effect(Surface.PORT, Verb.SHUT, tap(1).name),
        Effect(Surface.PORT, Verb.REMOVED, tap(2).name),
    )
    (warning,) = changes.warnings
    assert tap(1).name in warning
    assert tap(1).instance_uuid in warning
    assert not is_up(namespace, tap(1))
    again = apply(namespace, plan(KNOWN))
    assert (again.made, again.warnings) == ((), (warning,))
    # The rows are back, and the guest has never lost its descriptor.
    reach(namespace, plan(tap(1), KNOWN))
    if link == "on":
        assert hears(namespace, process, tap(1))
    process.kill()
    process.wait()
    reach(namespace, plan(KNOWN))
    assert tap(1).name not in links(namespace)


@pytest.mark.parametrize("place", ["there", "here"])
def test_a_pair_in_use_is_kept_down(namespace, namespaces, place):
    reach(namespace, plan(veth(1), veth(2), KNOWN))
    peer = veth(1).peer
    if place == "there":
        namespace.run(f"ip link set {peer} netns {namespaces().name}")
    else:
        namespace.run(f"ip link set {peer} up")
    for _ in range(2):
        changes = apply(namespace, plan(KNOWN))
        assert len(changes.warnings) == 1
        assert not is_up(namespace, veth(1))
        assert veth(2).name not in links(namespace)


def test_a_bridge_with_a_port_in_use_stays(namespace):
    reach(namespace, plan(tap(1), KNOWN))
    hold(namespace, tap(1))
    changes = apply(namespace, Plan("node1", gone=(KNOWN.name,)))
    assert changes.failures == ()
    assert links(namespace)[tap(1).name]["master"] == "br100"
    assert KNOWN.name not in links(namespace)


def test_what_a_row_says_is_gone_goes_under_its_user(namespace):
    reach(namespace, plan(tap(1), KNOWN))
    hold(namespace, tap(1))
    changes = apply(namespace, replace(plan(KNOWN), gone=(tap(1).name,)))
    assert changes.made == (Effect(Surface.PORT, Verb.REMOVED, tap(1).name),)


def test_a_port_of_an_instance_that_moved_stays_while_it_is_used(namespace):
    reach(namespace, plan(tap(1), tap(2), KNOWN))
    process = hold(namespace, tap(1))
    moved = [replace(tap(n), stays="used") for n in (1, 2)]
    assert apply(namespace, plan(*moved, KNOWN)).made == (
        Effect(Surface.PORT, Verb.REMOVED, tap(2).name),
    )
    reach(namespace, plan(*moved, KNOWN))
    assert hears(namespace, process, tap(1))
    shut = replace(tap(1), stays="shut")
    assert apply(namespace, plan(shut, KNOWN)).made == (
        Effect(Surface.PORT, Verb.SHUT, tap(1).name),
    )
    reach(namespace, plan(shut, KNOWN))
    assert not is_up(namespace, tap(1))
    # It came back.
    reach(namespace, plan(tap(1), KNOWN))
    assert hears(namespace, process, tap(1))


@pytest.mark.parametrize("kind", ["veth", "external"])
def test_another_kind_waits_for_the_user_of_a_tap(namespace, kind):
    reach(namespace, plan(tap(1)))
    process = hold(namespace, tap(1))
    wanted = replace(veth(1), kind=kind)
    reach(namespace, plan(wanted))
    assert hears(namespace, process, tap(1))
    process.kill()
    process.wait()
    reach(namespace, plan(wanted))
    found = links(namespace).get(tap(1).name)
    info = found and found["linkinfo"]["info_kind"]
    assert info == ("veth" if kind == "veth" else None)


def test_another_kind_waits_for_the_user_of_a_pair(namespace, namespaces):
    reach(namespace, plan(veth(1)))
    space = namespaces()
    namespace.run(f"ip link set {veth(1).peer} netns {space.name}")
    before = state(namespace)
    reach(namespace, plan(tap(1)))
    assert state(namespace) == before
    space.run(f"ip link del {veth(1).peer}")
    reach(namespace, plan(tap(1)))
    assert links(namespace)[tap(1).name]["linkinfo"]["info_kind"] == "tun"


def test_use_is_seen_whether_our_end_is_up_or_not(namespace):
    def used():
        with link_pass() as found:
            link = found.links[tap(1).name]
            return is_used(found, link)

    reach(namespace, plan(tap(1)))
    for state_ in ("down", "up"):
        namespace.run(f"ip link set {tap(1).name} {state_}")
        assert not namespace.call(used)
    hold(namespace, tap(1))
    for state_ in ("down", "up"):
        namespace.run(f"ip link set {tap(1).name} {state_}")
        assert namespace.call(used)


@pytest.fixture
def directory():
    """A directory that dnsmasq, which is nobody, can enter."""
    with tempfile.TemporaryDirectory(prefix="fnt-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


OTHER = host_plan(
    snapshot(host="node1.example", interfaces=(interface(7),)), OPTIONS, {}
)
EMPTY = host_plan(snapshot(networks=(), host_addresses=()), OPTIONS, {})
GONE = tuple(f"tap{each.uuid[:11]}" for each in ROWS.interfaces)


@pytest.mark.parametrize(
    ("wanted", "used"), [(EMPTY, False), (EMPTY, True), (OTHER, True)]
)
def test_a_plan_of_another_host_touches_nothing(
    namespace, directory, tmp_path, wanted, used
):
    """The name became another one, or the database is a fresh one."""

    def refused(serving):
        with pytest.raises(HostSetupError) as caught:
            serving.apply(parted(wanted))
        return str(caught.value)

    def passes():
        with applier(directory, tmp_path / "log") as serving:
            process = used and hold(namespace, tap_of(0))
            before = (state(namespace), rules(), files(directory))
            errors = {refused(serving) for _ in range(2)}
            assert (state(namespace), rules(), files(directory)) == before
            # What somebody flushes comes back as the last plan has it.
            namespace.run("iptables -F")
            eventually(lambda: rules() == before[1])
            if process:
                process.kill()
                process.wait()
            changes = serving.apply(parted(replace(EMPTY, gone=GONE)))
            assert changes.failures == ()
            return errors

    (error,) = namespace.call(passes)
    assert "knows none of the 2 ports" in error
    assert f"ip link delete {GONE[0]}" in error
    assert set(links(namespace)) == {"lo"}


def tap_of(number):
    return replace(tap(1), name=GONE[number])


def files(path):
    return {
        each.name: each.read_bytes()
        for each in path.iterdir()
        if each.is_file() and each.suffix != ".leases"
    }


def test_a_plan_of_another_host_takes_what_nobody_uses(
    namespace, directory, tmp_path
):
    """One known port is enough to follow the rows."""

    def passes():
        with applier(directory, tmp_path / "log") as serving:
            first = serving.apply(parted(OTHER))
            second = serving.apply(
                parted(replace(EMPTY, gone=(f"tap{interface(7).uuid[:11]}",)))
            )
            return first.failures, second.failures

    assert namespace.call(passes) == ((), ())
    assert set(links(namespace)) == {"lo"}


@pytest.mark.parametrize("wanted", [EMPTY, OTHER])
def test_a_plan_of_another_host_leaves_what_hypervisors_attached(
    namespace, directory, tmp_path, wanted
):
    """With vif_plug=external no port is ours, but its gateway is."""
    external = replace(OPTIONS, vif_plug="external")
    name = tap_of(0).name

    def passes():
        with applier(directory, tmp_path / "log") as serving:
            serving.apply(parted(host_plan(ROWS, external, {})))
            hold(namespace, tap_of(0))
            namespace.run(f"ip link set {name} master br100 up")
            serving.apply(parted(host_plan(ROWS, external, {})))
            before = (state(namespace), rules(), files(directory))
            with pytest.raises(HostSetupError) as caught:
                serving.apply(parted(wanted))
            assert (state(namespace), rules(), files(directory)) == before
            return str(caught.value)

    error = namespace.call(passes)
    assert "knows none of the 1 ports" in error
    assert name in error
