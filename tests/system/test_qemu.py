"""A virtual machine on the tap that flatnet made, from power on to off."""

import contextlib

from flatnet.db import instances
from flatnet.db.engine import Database
from flatnet.lab.qemu import QemuGuest
from flatnet.lab.spec import OUTSIDE_ADDRESS

CIDR = "10.0.0.0/24"
BRIDGE = "br100"
SECONDS = 110


def test_a_virtual_machine_boots_from_its_own_host(labs):
    lab = labs(nodes=1, vif_plug="tap")
    node = lab.node(1)
    rpc = lab.rpc()
    rpc.call("create_networks", label="flat", cidr=CIDR, bridge=BRIDGE)
    with contextlib.closing(Database(lab.database_url)) as database:
        row = instances.create(
            database, hostname="vm_1", host=node.name, project_id="demo"
        )
    [vif] = rpc.call(
        "allocate_for_instance",
        instance_id=row.uuid,
        host=node.name,
        project_id="demo",
    )

    port = {"tap": vif["devname"], "mac": vif["address"]}
    guest = lab.machine(QemuGuest, node=node, **port)
    report = guest.boot(
        ping=["10.0.0.1", OUTSIDE_ADDRESS, "10.0.0.99"],
        resolve=["vm_1.novalocal"],
        seconds=SECONDS,
    )

    assert report.lease is not None
    assert report.lease.address == "10.0.0.2"
    assert report.lease.router == "10.0.0.1"
    assert report.lease.server == "10.0.0.1"
    assert report.mac == vif["address"]
    assert report.mtu == vif["network"]["meta"]["mtu"]
    assert report.pings == (
        ("10.0.0.1", True),
        (OUTSIDE_ADDRESS, True),
        ("10.0.0.99", False),
    )
    assert report.names == (("vm_1.novalocal", "10.0.0.2"),)
    # The tap outlives its hypervisor.
    assert vif["devname"] in node.run("ip -br link")
