"""Who may open the taps of instances."""

import fcntl
import os
import struct
import subprocess
from dataclasses import replace

import pytest
from bridged import apply, plan, reach, tap

from flatnet.apply.link import taps
from flatnet.state.effects import Effect, Surface, Verb

NAME = tap(1).name
OPEN = """
import fcntl, os, struct, sys
handle = os.open(sys.argv[1], os.O_RDWR)
flags = struct.pack("16sH22x", sys.argv[2].encode(), 0x5002)
fcntl.ioctl(handle, 0x400454ca, flags)
"""


@pytest.fixture
def device(tmp_path):
    """/dev/net/tun as systemd makes it, open to all, but not for all."""
    path = tmp_path / "tun"
    os.mknod(path, 0o20666, os.makedev(10, 200))
    path.chmod(0o666)
    for each in (tmp_path, *tmp_path.parents):
        if str(each).startswith("/tmp/"):
            each.chmod(each.stat().st_mode | 0o055)
    return path


def opens(namespace, device, user, *groups):
    """Whether a process without privilege gets hold of the tap."""
    groups = f"--groups={','.join(groups)}" if groups else "--clear-groups"
    done = subprocess.run(
        namespace.argv(
            "setpriv",
            f"--reuid={user}",
            groups,
            *("--bounding-set=-all", "--inh-caps=-all", "--"),
            # Not ours, which may lie where only root reads.
            *("/usr/bin/python3", "-c", OPEN, str(device), NAME),
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 or "Operation not permitted" in done.stderr
    return done.returncode == 0


def owned(owner=None, group=None):
    return plan(replace(tap(1), owner=owner, group=group))


def test_a_tap_is_roots(namespace, device):
    reach(namespace, owned("root"))
    assert not opens(namespace, device, "nobody")
    assert opens(namespace, device, "root")


def test_a_tap_without_owner_is_anybodys(namespace, device):
    """Which is why none is made so: what the test above keeps away."""
    reach(namespace, owned())
    assert opens(namespace, device, "nobody")


@pytest.mark.parametrize(
    ("owner", "group", "who", "others"),
    [
        ("nobody", None, [("nobody",)], [("daemon",)]),
        (
            None,
            "daemon",
            [("nobody", "daemon"), ("bin", "daemon")],
            [("nobody",)],
        ),
        (
            "nobody",
            "daemon",
            [("nobody", "daemon")],
            [("nobody",), ("bin", "daemon")],
        ),
    ],
)
def test_an_unprivileged_hypervisor_opens_its_own(
    namespace, device, owner, group, who, others
):
    reach(namespace, owned(owner, group))
    for each in who:
        assert opens(namespace, device, *each), each
    for each in others:
        assert not opens(namespace, device, *each), each


@pytest.mark.parametrize(
    "before", [owned(), owned("daemon"), owned(None, "daemon")]
)
@pytest.mark.parametrize(
    "after", [owned("root"), owned("nobody"), owned(None, "bin")]
)
def test_taps_that_exist_are_changed(namespace, before, after):
    reach(namespace, before)
    reach(namespace, after)
    (port,) = after.bridges[0].ports
    (link,) = namespace.json("ip", "-j", "-d", "link", "show", NAME)
    shown = link["linkinfo"]["info_data"]
    assert shown.get("user") == port.owner
    assert shown.get("group") == port.group
    assert link["master"] == "br100"


def test_a_tap_in_use_is_changed_when_it_is_free(namespace, device):
    reach(namespace, owned())

    def held():
        handle = os.open(taps.DEVICE, os.O_RDWR)
        try:
            flags = struct.pack("16sH22x", NAME.encode(), 0x5002)
            fcntl.ioctl(handle, 0x400454CA, flags)
            return [apply(namespace, owned("root")) for _ in range(2)]
        finally:
            os.close(handle)

    for changes in namespace.call(held):
        assert (changes.made, changes.failures) == ((), ())
    assert apply(namespace, owned("root")).made == (
        Effect(Surface.PORT, Verb.SET, NAME, "owner"),
    )
    assert not opens(namespace, device, "nobody")
