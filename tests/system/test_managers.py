"""Programs that manage a host's network, run beside us: the real ones.

They take what they can get of our devices, as they do where nobody told them
not to; then they are told, by the files that we ship.  Guests are probed all
the while.
"""

import contextlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from flatnet.lab.lab import Lab
from tests.system.cloud import eventually, place
from tests.system.conftest import fresh_spec
from tests.system.managers import managers
from tests.system.node_state import ours
from tests.system.rows import new_network
from tests.system.watching import Watched

ETC = Path(__file__).resolve().parents[2] / "etc"
OPTIONS = (("allow_same_net_traffic", "False"), ("reconcile_interval", "60"))
# Seconds that guests may be without each other: of these the segment is asked
# for the bridge's address for 0.6, or the kernel asks again for a guest's MAC
# after 1.  The rest is a machine that is busy.
AWAY = 4
# The pauses of a fight come to more.
FIGHT = 30
# Lines of the log that say that rules were lost, or a chain was put back.
CALM = 200
# Seconds for a program to do what it was told.
ACT = 1.5
ALL = "[Match]\nName=*\n[Network]\nDHCP=yes\n"
NETWORKD = "/usr/lib/systemd/systemd-networkd"
NETWORKD_RUN = (
    "mkdir -p /run/systemd/netif/links /run/systemd/netif/leases "
    "/run/systemd/netif/lldp; chown -R systemd-network /run/systemd/netif"
)
FILES = (
    "systemd/network/10-flatnet.network",
    "NetworkManager/conf.d/flatnet.conf",
    "firewalld/zones/flatnet.xml",
    "firewalld/policies/flatnet-in.xml",
    "firewalld/policies/flatnet-out.xml",
)


@dataclass(frozen=True)
class Site:
    """A node with two guests, of which all may ping the first."""

    lab: Lab
    guests: dict
    managers: object

    @property
    def node(self):
        return self.lab.node(1)

    @property
    def taps(self):
        shown = json.loads(self.node.run("ip -j link"))
        names = [link["ifname"] for link in shown]
        return sorted(name for name in names if name.startswith("tap"))

    @property
    def ours(self):
        rules, *rest = ours(self.node, self.taps)
        # firewalld has chains of its own for the zone that we ship.
        return [each for each in rules if "_flatnet" not in each], *rest

    def ways(self, target):
        """Those who ask a guest: the other, and one from outside."""
        (other,) = self.guests.keys() - {target}
        names = (self.lab.spec.namespace(e) for e in (other, "outside"))
        return [Watched(n, self.guests[target].address) for n in names]

    def fights(self):
        shown = self.lab.cli("host", "show", "node1", "-f", "json")
        return {e["what"]: e["who"] for e in json.loads(shown)["fights"]}


@pytest.fixture(scope="module")
def site():
    with Lab(fresh_spec(nodes=1, options=OPTIONS)) as lab:
        new_network(lab)
        guests = {n: place(lab, n, 1, "blue") for n in ("vm_1", "vm_2")}
        for each in guests.values():
            each.guest.dhcp()
        for words in (
            "create open --project-id blue",
            "rule create open --protocol icmp",
            f"add instance open {guests['vm_1'].uuid}",
        ):
            lab.cli("security", "group", *words.split())
        node = lab.node(1)
        outside = lab.spec.namespace("outside")
        way = node.spec.public_address
        node.run(f"ip -n {outside} route add 10.0.0.0/24 via {way}")
        with managers(node) as beside:
            yield Site(lab, guests, beside)


@contextlib.contextmanager
def told(site):
    """They have the files that we ship, until the block ends."""
    for name in FILES:
        site.managers.write(f"/etc/{name}", (ETC / name).read_text())
    try:
        yield
    finally:
        site.managers.run("rm", *(f"/etc/{name}" for name in FILES))


@contextlib.contextmanager
def shown_if_not(site):
    """If the block fails, the daemon's log says what it did meanwhile."""
    start = len(site.node.log_text)
    try:
        yield
    except BaseException:
        print(site.node.log_text[start:])
        raise


@contextlib.contextmanager
def endured(site, *, away=AWAY):
    """Whatever is done in the block, guests and host are as before.

    And what is not allowed passes at no time.

    :param away: how many seconds guests may be without each other
    """
    before = site.ours
    with contextlib.ExitStack() as stack:
        allowed = [stack.enter_context(e) for e in site.ways("vm_1")]
        forbidden = [stack.enter_context(e) for e in site.ways("vm_2")]
        for each in allowed:
            each.wait()
        with shown_if_not(site):
            yield
            for each in allowed:
                each.wait()
            eventually(lambda: site.ours, before)
        gaps = [each.longest_gap for each in allowed]
        passed = [each.answers for each in forbidden]
    print("longest gaps", gaps, "open", passed)
    assert max(gaps) < away
    assert not any(passed)
    for each in site.guests.values():
        assert each.guest.dhcp().address == each.address


@contextlib.contextmanager
def running(site, *words, ready):
    """One of them runs, from before it starts until after it ended."""
    with site.managers.running(*words, ready=ready) as daemon:
        time.sleep(ACT)
        yield daemon


def act(site, *commands):
    for command in commands:
        site.managers.run(*command.split())
        time.sleep(ACT)


@pytest.fixture
def networkd(site):
    """What runs systemd-networkd, which would have all devices."""
    site.managers.run("sh", "-ec", NETWORKD_RUN)
    site.managers.write("/etc/systemd/network/20-all.network", ALL)
    return lambda: running(site, NETWORKD, ready=["networkctl", "status"])


@pytest.fixture
def network_manager(site):
    """What runs NetworkManager, as Debian configures it."""
    words = ("/usr/sbin/NetworkManager", "--no-daemon")
    return lambda: running(site, *words, ready=["nmcli", "general"])


def test_networkd_that_takes_our_devices(site, networkd):
    with contextlib.ExitStack() as stack:
        with endured(site):
            stack.enter_context(networkd())
        with endured(site):
            act(site, "networkctl reload", "networkctl reconfigure br100")
        with endured(site, away=FIGHT):
            taps = " ".join(site.taps)
            act(site, *(f"networkctl reconfigure {taps}" for _ in range(6)))
            shown = site.fights()
        assert {f"port {name}" for name in site.taps} <= shown.keys()
        with endured(site):
            stack.close()
    for name in site.taps:
        assert site.node.log_text.count(f"port {name}: somebody undoes") == 1


def test_network_manager_that_takes_our_devices(site, network_manager):
    with contextlib.ExitStack() as stack:
        with endured(site):
            stack.enter_context(network_manager())
        for command in (
            *(f"device set {name} managed yes" for name in site.taps),
            f"device disconnect {site.taps[0]}",
            "device disconnect br100",
            "device connect br100",
            "device delete br100",
        ):
            with endured(site):
                act(site, f"nmcli {command}")
        each = place(site.lab, "vm_3", 1, "blue")
        assert each.guest.dhcp().address == each.address
        with endured(site):
            stack.close()


def test_who_is_told_to_leaves_our_devices_alone(
    site, networkd, network_manager
):
    before = site.node.log_text
    with told(site), endured(site):
        with networkd():
            act(site, "networkctl reload", "networkctl reconfigure br100")
            states = site.managers.run("networkctl", "--no-legend")
        with network_manager():
            shown = site.managers.run(
                *("nmcli", "-t", "-f", "DEVICE,STATE", "device")
            )
    assert site.node.log_text == before
    names = ("br100", "eth1", *site.taps)
    found = {each.split()[1]: each.split()[-1] for each in states.splitlines()}
    assert {found[name] for name in names} == {"unmanaged"}
    found = dict(each.split(":") for each in shown.splitlines())
    assert {found[name] for name in names} == {"unmanaged"}


@pytest.fixture(params=["nftables", "iptables"])
def firewalld(site, request):
    """What runs firewalld with one of its backends."""
    change = f"s/^FirewallBackend=.*/FirewallBackend={request.param}/"
    path = "/etc/firewalld/firewalld.conf"
    site.managers.run("sed", "-i", change, path)
    words = ("/usr/sbin/firewalld", "--nofork", "--nopid")
    ready = ["firewall-cmd", "--state"]
    return lambda: running(site, *words, ready=ready)


def theirs(site):
    """The rules of firewalld, of either backend."""
    lines = site.node.run("iptables-save").splitlines()
    return (
        [e for e in lines if e[:2] == "-A" and "flatnet-" not in e],
        site.node.attempt("nft list table inet firewalld").stdout,
    )


def test_firewalld_that_is_told(site, firewalld):
    """It flushes iptables, whatever its backend, and we put ours back."""
    with told(site), contextlib.ExitStack() as stack:
        with endured(site):
            stack.enter_context(firewalld())
        before = theirs(site)
        assert any("_flatnet" in str(each) for each in before)
        for command in ("reload", "complete-reload"):
            with endured(site):
                act(site, f"firewall-cmd --{command}")
        site.lab.cli("host", "reconcile", "node1")
        assert theirs(site) == before
        assert "tables-resto" in site.fights()["firewall"]
        with endured(site):
            stack.close()
    for text in ("changed rules of flatnet", "mended: firewall"):
        assert site.node.log_text.count(text) < CALM


@pytest.mark.parametrize("firewalld", ["nftables"], indirect=True)
def test_firewalld_that_is_not_told_rejects_all_that_is_for_guests(
    site, firewalld
):
    """That is for its admin to change: nothing of it is touched."""
    before = site.ours
    with firewalld():
        eventually(lambda: site.ours, before)
        rules = theirs(site)
        for each in site.ways("vm_1"):
            with each, pytest.raises(AssertionError):
                each.wait(ACT)
        assert theirs(site) == rules
    eventually(lambda: site.ours, before)
    for each in site.ways("vm_1"):
        with each:
            each.wait()
