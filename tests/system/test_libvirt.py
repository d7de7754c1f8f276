"""A virtual machine under libvirt, on the tap that flatnet made.

libvirt is one of our own: in the node's namespaces, with its sockets and all
that it writes on file systems that end with it.
"""

import subprocess
import time
from contextlib import contextmanager

from flatnet.lab.image import image
from flatnet.lab.qemu import report_of
from flatnet.lab.server_process import LabProcess
from flatnet.lab.spec import OUTSIDE_ADDRESS
from tests.system.rows import allocate, new_instance, new_network

SECONDS = 100
PRIVATE = ("/run", "/var/lib", "/var/log", "/var/cache", "/etc/libvirt")
LIBVIRTD = """
auth_unix_rw = "none"
unix_sock_group = "root"
"""
# As root without cgroups and guards: they would be the machine's own.
QEMU = """
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
dynamic_ownership = 0
remember_owner = 0
"""
DOMAIN = """
<domain type="qemu">
  <name>vm_1</name>
  <memory unit="MiB">192</memory>
  <os>
    <type arch="x86_64" machine="pc">hvm</type>
    <kernel>{files}/kernel</kernel>
    <initrd>{files}/initrd</initrd>
    <cmdline>console=ttyS0 quiet flatnet.ping={ping} flatnet.resolve=</cmdline>
  </os>
  <cpu mode="maximum"/>
  <features><acpi/></features>
  <on_reboot>destroy</on_reboot>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <interface type="ethernet">
      <mac address="{mac}"/>
      <target dev="{device}" managed="no"/>
      <model type="virtio"/>
    </interface>
    <serial type="file"><source path="{files}/console"/></serial>
    <memballoon model="none"/>
  </devices>
</domain>
"""


def lines(directory):
    """What a shell does to become a libvirtd of our own."""
    return (
        # What the lab has for us lies below one that is covered.
        "mount -t tmpfs tmpfs /mnt; mkdir /mnt/kept",
        f"mount --bind {directory} /mnt/kept",
        *(f"mount -t tmpfs tmpfs {each}" for each in PRIVATE),
        # It asks for its usual user before it reads that it has another.
        *(
            f"cp /etc/{each} /mnt/; (echo {line}) >>/mnt/{each}; "
            f"mount --bind /mnt/{each} /etc/{each}"
            for each, line in (
                ("passwd", "libvirt-qemu:x:64055:65534::/:/bin/false"),
                ("group", "libvirt-qemu:x:64055:; echo kvm:x:64056:"),
            )
        ),
        "cp /mnt/kept/qemu.conf /etc/libvirt/",
        "exec libvirtd -f /mnt/kept/libvirtd.conf",
    )


@contextmanager
def libvirt(node, directory):
    """A libvirtd of the node; what talks to it as a function."""
    (directory / "libvirtd.conf").write_text(LIBVIRTD)
    (directory / "qemu.conf").write_text(QEMU)
    log = directory / "libvirtd.log"
    daemon = LabProcess(
        ["sh", "-ec", "; ".join(lines(directory))],
        log=log,
        namespace=node.namespace,
    )

    def virsh(*words, check=True):
        done = subprocess.run(
            [
                *("nsenter", "-t", str(daemon.pid), "-m", "-n", "--"),
                *("virsh", "-q", "-c", "qemu:///system", *words),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if check:
            assert done.returncode == 0, done.stderr + log.read_text()
        return done.stdout

    def answers():
        return "qemu:///system" in virsh("uri", check=False)

    try:
        daemon.wait_until(answers, seconds=60)
        yield virsh
        virsh("destroy", "vm_1", check=False)
    finally:
        daemon.stop()


def test_a_machine_of_libvirt_on_our_tap(labs):
    lab = labs(nodes=1, vif_plug="tap")
    node = lab.node(1)
    new_network(lab)
    [vif] = allocate(lab, new_instance(lab, "vm_1", "node1"), "node1")
    files = node.spec.directory.parent / "libvirt"
    files.mkdir()
    booted = image()
    for name, path in (
        ("kernel", booted.kernel),
        ("initrd", booted.initramfs),
    ):
        (files / name).write_bytes(path.read_bytes())
    console = files / "console"
    domain = DOMAIN.format(
        files="/mnt/kept",
        mac=vif["address"],
        device=vif["devname"],
        ping=f"10.0.0.1,{OUTSIDE_ADDRESS}",
    )
    (files / "domain.xml").write_text(domain)
    with libvirt(node, files) as virsh:
        virsh("create", "/mnt/kept/domain.xml")
        deadline = time.monotonic() + SECONDS
        while "vm_1" in virsh("list", "--name"):
            assert time.monotonic() < deadline, console.read_text()
            time.sleep(0.5)
        report = report_of(console.read_text(errors="replace"))
        assert "br100" not in virsh("net-list", "--all")
    assert report.lease is not None
    assert report.lease.address == "10.0.0.2"
    assert report.lease.router == "10.0.0.1"
    assert report.mac == vif["address"]
    assert report.pings == (("10.0.0.1", True), (OUTSIDE_ADDRESS, True))
    # The tap outlives its hypervisor, and is as it was.
    assert vif["devname"] in node.run("ip -br link")
    assert node.attempt("ip link show virbr0").returncode != 0
