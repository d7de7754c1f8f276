"""systemd itself says whether our unit is sound and when it starts."""

import shutil
import subprocess
from pathlib import Path

import pytest

ETC = Path(__file__).resolve().parents[2] / "etc" / "systemd"
NAME = "flatnet-manager.service"
STUB = "[Unit]\nDescription=a stub\n"
SERVICE = f"{STUB}[Service]\nExecStart=/bin/true\n"
# What a boot is made of as far as order goes.
BOOT = {
    "basic.target": "Requires=sysinit.target sockets.target slices.target\n"
    "After=sysinit.target sockets.target slices.target\n",
    "machine.slice": "Before=slices.target\n",
    "multi-user.target": "Requires=basic.target\nAfter=basic.target\n"
    f"Wants={NAME} guest@1.service\n",
    "network-online.target": "After=network.target\n",
    "network.target": "",
    "shutdown.target": "DefaultDependencies=no\n",
    "slices.target": "",
    "sockets.target": "",
    "sysinit.target": "",
    "guest@.service": "[Service]\nExecStart=/bin/true\nSlice=machine.slice\n",
}


@pytest.fixture
def root(tmp_path):
    """A tree with our unit and a boot around it."""
    units = tmp_path / "etc/systemd/system"
    units.mkdir(parents=True)
    for name, text in BOOT.items():
        (units / name).write_text(STUB + text)
    shutil.copy(ETC / NAME, units)
    for program in ("usr/bin/flatnet-manager", "bin/true"):
        path = tmp_path / program
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy("/bin/true", path)
    return tmp_path


def complaints(root):
    done = subprocess.run(
        [
            *["systemd-analyze", "verify", "--man=no", f"--root={root}"],
            *["multi-user.target", NAME],
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stderr


def test_the_unit_is_sound(root):
    assert complaints(root) == ""


@pytest.mark.parametrize(
    "other",
    [
        "libvirtd.service",
        "libvirt-guests.service",
        "virtqemud.service",
        "virtlxcd.service",
        "nova-compute.service",
        "openstack-nova-compute.service",
        "lxc.service",
        "guest@1.service",
    ],
)
def test_what_starts_guests_starts_later(root, other):
    """One that would have to start first as well is a cycle for systemd."""
    units = root / "etc/systemd/system"
    if "@" in other:
        name = units / "guest@.service"
        (units / "guest@.service.d").mkdir()
        shutil.copy(
            ETC / "guest.conf", units / "guest@.service.d/flatnet.conf"
        )
        assert complaints(root) == ""
    else:
        name = units / other
        name.write_text(SERVICE)
    text = name.read_text()
    name.write_text(text.replace("[Unit]\n", f"[Unit]\nBefore={NAME}\n"))
    wants = units / "multi-user.target.wants"
    wants.mkdir()
    (wants / other).symlink_to(f"../{name.name}")
    assert "ordering cycle" in complaints(root)


def test_a_boot_does_not_wait_without_end(root):
    text = (root / "etc/systemd/system" / NAME).read_text()
    assert "TimeoutStartSec=infinity" not in text
