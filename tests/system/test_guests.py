"""The lab's guests, on a host made by hand: do they see what is there?"""

import secrets
import tempfile
from pathlib import Path

import pytest

from flatnet.lab import namespaces
from flatnet.lab.guest import LabGuest
from flatnet.lab.image import image
from flatnet.lab.namespaces import LabError
from flatnet.lab.qemu import QemuGuest
from flatnet.lab.server_process import LabProcess
from flatnet.lab.spec import LabSpec

VIF = "0123456789abcdef"
MAC = "fa:16:3e:00:00:02"
TAP_MAC = "fa:16:3e:00:00:03"
DNSMASQ = (
    "dnsmasq --keep-in-foreground --conf-file= --no-hosts --no-resolv "
    "--pid-file= --interface=br100 --bind-interfaces --user=root "
    "--dhcp-range=10.9.0.0,static,255.255.255.0,3600 "
    f"--dhcp-host={MAC},vm_1,10.9.0.2 --dhcp-host={TAP_MAC},vm_2,10.9.0.3 "
    "--dhcp-option=option:mtu,1400 --domain=example --dhcp-no-override "
    "--address=/outside.example/198.51.100.1"
)


@pytest.fixture
def lab():
    """The spec of a lab that has one namespace so far, `host`."""
    name = f"t{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory(prefix="fnt-lab-") as directory:
        spec = LabSpec(name=name, directory=Path(directory))
        try:
            _make_host(spec.namespace("host"))
            yield spec
        finally:
            assert namespaces.remove_all(spec.prefix) == []


@pytest.fixture
def dnsmasq(lab):
    """A DHCP server on the host's bridge."""
    leases = f"--dhcp-leasefile={lab.directory / 'leases'}"
    server = LabProcess(
        [*DNSMASQ.split(), leases],
        log=lab.directory / "dnsmasq.log",
        namespace=lab.namespace("host"),
    )
    yield server
    server.stop()


def _make_host(namespace):
    namespaces.add(namespace)
    namespaces.configure(
        namespace,
        "link add br100 type bridge",
        "addr add 10.9.0.1/24 dev br100",
        "link set br100 up",
        f"link add tap{VIF[:11]} type veth peer name vif{VIF[:11]}",
        f"link set vif{VIF[:11]} address {MAC}",
        f"link set tap{VIF[:11]} master br100 up",
        "tuntap add tapqemu mode tap",
        "link set tapqemu master br100 up",
    )


@pytest.fixture
def guest(lab):
    guest = LabGuest(lab, "vm_1", node_namespace=lab.namespace("host"))
    guest.plug(VIF)
    return guest


def test_guest_gets_what_the_server_says(guest, dnsmasq):
    before = Path("/etc/resolv.conf").read_bytes()

    lease = guest.dhcp()

    assert lease.address == "10.9.0.2"
    assert lease.prefix_length == 24
    assert lease.router == "10.9.0.1"
    assert lease.server == "10.9.0.1"
    assert lease.dns == ("10.9.0.1",)
    assert lease.mtu == 1400
    assert lease.lease_time == 3600
    assert lease.hostname == "vm_1"
    assert "mtu 1400" in guest.run(["ip", "link", "show", "eth0"])
    assert guest.gateway() == "10.9.0.1"
    header, default = guest.routes().splitlines()[1:3]
    assert header.split()[:3] == ["Destination", "Gateway", "Genmask"]
    assert default.split()[:4] == ["0.0.0.0", "10.9.0.1", "0.0.0.0", "UG"]
    assert guest.ping("10.9.0.1")
    assert not guest.ping("10.9.0.77", count=1)
    assert guest.resolve("outside.example") == "198.51.100.1"
    assert guest.resolve("nowhere.example") == ""
    assert Path("/etc/resolv.conf").read_bytes() == before


def test_guest_without_a_server_says_that_it_has_no_lease(guest):
    with pytest.raises(LabError, match="vm_1: no lease"):
        guest.dhcp()


def test_guest_needs_its_port(lab):
    guest = LabGuest(lab, "vm_9", node_namespace=lab.namespace("host"))
    with pytest.raises(LabError, match="vifffffffff"):
        guest.plug("ffffffff-ffff-ffff-ffff-ffffffffffff")


def test_qemu_guest_reports_what_it_saw(lab, dnsmasq):
    guest = QemuGuest(
        image(),
        directory=lab.directory,
        node=lab.namespace("host"),
        tap="tapqemu",
        mac=TAP_MAC,
    )

    report = guest.boot(
        ping=["10.9.0.1", "10.9.0.77"],
        resolve=["outside.example", "nowhere.example"],
    )

    assert report.lease is not None
    assert report.lease.address == "10.9.0.3"
    assert report.lease.router == "10.9.0.1"
    assert report.lease.server == "10.9.0.1"
    assert report.lease.lease_time == 3600
    assert report.mtu == 1400
    assert report.mac == TAP_MAC
    assert "0.0.0.0         10.9.0.1        0.0.0.0         UG" in (
        report.routes
    )
    assert report.pings == (("10.9.0.1", True), ("10.9.0.77", False))
    assert report.names == (
        ("outside.example", "198.51.100.1"),
        ("nowhere.example", ""),
    )
