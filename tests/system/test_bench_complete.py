"""What the benchmark calls complete is on the host, all of it."""

from dataclasses import replace

import pytest
from conftest import fresh_spec

from flatnet.lab.bench import complete
from flatnet.lab.bench.effort import QUICK
from flatnet.lab.bench.layout import Layout
from flatnet.lab.bench.site import Site
from flatnet.lab.namespaces import LabError
from flatnet.lab.spec import BRIDGE, MARIADB

LAYOUT = Layout(same_net=False, each=1, groups=2)


@pytest.fixture
def site():
    """One host with a guest, and nothing else."""
    spec = replace(
        fresh_spec(), nodes=1, database=MARIADB, options=LAYOUT.options
    )
    with Site(spec, layout=LAYOUT, effort=QUICK, say=print) as site:
        site.grow(1)
        yield site


def test_what_is_missing_or_left_is_named(site):
    nodes, node = site.lab.nodes, site.node
    with site.newcomers(2) as wanted:
        guests = site.check_complete(wanted, site.allocate_at_once(wanted))
        with pytest.raises(LabError, match="still has a device, element"):
            site.check_gone(guests)

        # Who would put back what is taken away.
        node.stop_daemon()
        for command, place in damage(node, guests[0]):
            node.run(["sh", "-ec", command])
            with pytest.raises(LabError, match=place):
                complete.check_there(nodes, guests[:1])

        node.start_daemon()
        complete.check_there(nodes, guests)
        site.deallocate_at_once(wanted)
        site.check_gone(guests)


def damage(node, guest):
    """Commands that each take away one more place of a guest's."""
    device, address = guest.device, guest.address
    files = node.spec.networks_path / f"flatnet-{BRIDGE}"
    saved = map(str.split, node.run("ipset save").splitlines())
    groups = [
        f"ipset del {name} {address}"
        for verb, name, member, *_ in saved
        if (verb, member) == ("add", address) and "-p4-" in name
    ]
    delete = "nft delete element bridge flatnet"
    return [
        (f"ipset del flatnet-filtered4 {address}", "of the filter's set"),
        ("; ".join(groups), "of a group's set"),
        (f"{delete} filtered '{{ {device} }}'", "of the guard's filter"),
        (f"{delete} ipv4 '{{ {device} . {address} }}'", "of the guard,"),
        (f"sed -i /{guest.mac}/d {files}.hosts", "line of the hosts file"),
        (f"ip link set {device} nomaster", "port of the bridge"),
        (f"ip link delete {device}", "no device"),
        (
            f"sed -i /{address}/d {files}.names; kill -HUP $(cat {files}.pid)",
            "name that dnsmasq knows",
        ),
    ]
