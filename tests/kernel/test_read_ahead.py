"""What a worker reads before its first pass is no reason to miss anything."""

import json

import pytest
from test_watch import OPTIONS, PORT, ROWS, applier, output, rules

from flatnet.apply.applier_client import Applier, start_applier
from tests.planned import host_plan, parted

DAMAGES = (
    "iptables -F flatnet-local",
    "ip6tables -D FORWARD 1",
    "nft flush set bridge flatnet macs",
    "nft delete table inet flatnet",
    "ipset flush flatnet-filtered4",
    f"ip link set {PORT} down",
    f"ip link delete {PORT}",
    "ip link set br100 down",
)


def state():
    shown = json.loads(output("ip -j link"))
    links = sorted((e["ifname"], "UP" in e["flags"]) for e in shown)
    guard = output("nft list set bridge flatnet macs")
    # In the order of their hashes, which is not always the same.
    sets = sorted(output("ipset save").splitlines())
    return sorted(rules()), links, "".join(guard.split()), sets


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_somebody_does_after_it_is_mended_by_the_first_pass(
    namespace, tmp_path, damage
):
    def started():
        wanted = parted(host_plan(ROWS, OPTIONS))
        for family in ("bridge", "inet", "arp"):
            # Else no one but its owner may change it.
            output(f"nft add table {family} flatnet")
        with applier(tmp_path, tmp_path / "log"):
            before = state()
        options = {"networks_path": str(tmp_path), "top_regex": ""}
        serving = Applier(start_applier(dnsmasq_config_file="", **options))
        try:
            # The second is answered once all was read.
            for _ in range(2):
                serving.uplinks(())
            output(damage)
            changes = serving.apply(wanted)
            assert changes.failures == ()
            assert changes.made
            assert state() == before
            return serving.apply(wanted).made
        finally:
            serving.close()

    assert namespace.call(started) == ()
