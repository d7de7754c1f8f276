"""What nova-network did wrong to its end, on plans and texts.

Others of its faults are held by `tests/db/test_nova_row_faults.py`,
`tests/rpc/test_nova_call_faults.py`, `tests/kernel/test_nova_link_faults.py`;
what becomes of guests that moved and of a host without br_netfilter, real
clients and kernels show in `test_dhcp.py` and `test_sysctl.py` beside it.
"""

from dataclasses import replace

import pytest

from flatnet.apply.dhcp import dnsmasq
from flatnet.apply.dhcp.dnsmasq_files import written
from flatnet.apply.dhcp.texts import Texts
from flatnet.apply.filter.iptables.rendering import Rendering
from flatnet.plan.nwinfo import network_info
from tests.builders import (
    dhcp_host,
    dhcp_server,
    interface,
    network,
    settings,
    snapshot,
)
from tests.planned import filter_plan, host_plan, servers


def rendered(rendering, *guests, **options):
    rows = snapshot(interfaces=guests)
    return rendering.rules(filter_plan(rows, settings(**options))[0])


def chains(rules):
    return {
        (table.family, table.name, chain.name): chain.rules
        for table in rules.tables
        for chain in table.chains
    }


def arguments(server):
    return dnsmasq.arguments(server, networks_path="/n", config_file="")


def test_source_nat_is_there_with_the_first_guest_of_a_host():
    """nova had it after a restart only."""
    rendering = Rendering()
    bare = filter_plan(snapshot(networks=(), host_addresses=()), settings())[0]
    assert chains(rendering.rules(bare)) == {}
    now = rendered(rendering, interface(), routing_source_ip="192.0.2.1")
    (found,) = (
        rules
        for (_, table, _), rules in chains(now).items()
        if table == "nat" and any("SNAT" in rule for rule in rules)
    )
    assert any("--to-source 192.0.2.1" in rule for rule in found)


def test_names_of_others_do_not_change_the_router_of_guests():
    """update_dns gave all of them `networks.gateway`."""
    row = network(gateway="10.0.0.254")
    seen = set()
    for guests in ((), (interface(1),), (interface(1), interface(2))):
        rows = snapshot(networks=(row,), interfaces=guests)
        (server,), _ = servers(rows, settings())
        seen.add(arguments(server))
    (words,) = seen
    assert "--dhcp-option=3,10.0.0.1" in words


def test_a_hosts_file_is_never_seen_half_written(tmp_path):
    """Who reads the old one meanwhile reads it to its end."""
    for each in (tmp_path, *tmp_path.parents[:2]):
        each.chmod(0o755)
    guests = [
        dhcp_host(f"fa:16:3e:00:01:{n:02x}", f"10.0.0.{n}", number=n)
        for n in range(1, 100)
    ]
    texts, path = Texts(), str(tmp_path)
    server = dhcp_server(hosts=tuple(guests))
    written(server, texts, path)
    with open(dnsmasq.path(path, "br100", "hosts"), encoding="ascii") as file:
        first = file.readline()
        written(replace(server, hosts=tuple(guests[:1])), texts, path)
        assert len([first, *file]) == len(guests)
    kinds = [each.suffix.removeprefix(".") for each in tmp_path.iterdir()]
    assert "hosts" in kinds
    # Nothing is left that has another name for the time of its writing.
    assert all(kind.isalpha() for kind in kinds)


def test_name_servers_do_not_grow_with_each_start():
    options = settings(
        dns_server=("192.0.2.53",), use_network_dns_servers=True
    )
    row = network(dns1="192.0.2.54", dns2="192.0.2.55")
    rows = snapshot(networks=(row,))
    starts = [servers(rows, options)[0] for _ in range(3)]
    assert starts[0] == starts[1] == starts[2]
    assert options.dns_server == ("192.0.2.53",)
    words = arguments(starts[0][0])
    assert len([w for w in words if w.startswith("--server=192.")]) == 3


@pytest.mark.parametrize("same_network", [True, False])
def test_who_goes_takes_no_rule_of_another_whose_number_begins_alike(
    same_network,
):
    """7 took the rules of 70 to 79 along."""
    options = {"allow_same_net_traffic": same_network}
    guests = [
        interface(n, instance_id=n, security_group_ids=(n,))
        for n in (7, 70, 77)
    ]
    rendering = Rendering()
    before = rendered(rendering, *guests, **options)
    after = rendered(rendering, *guests[1:], **options)
    alone = rendered(Rendering(), *guests[1:], **options)
    assert before != after
    assert (after.tables, after.sets) == (alone.tables, alone.sets)


def test_chains_are_called_alike_whatever_started_the_daemon(monkeypatch):
    """nova's began with the name of the program: others were left over."""
    first = chains(rendered(Rendering(), interface()))
    monkeypatch.setattr("sys.argv", ["/opt/another/name"])
    assert chains(rendered(Rendering(), interface())) == first
    assert {name[2].partition("-")[0] for name in first} == {"flatnet"}


def test_an_answer_has_the_mtu_and_the_gateway_that_guests_use():
    """nova's had none, and one that nobody had in a multi-host network."""
    attached = ((interface(), network(gateway="10.0.0.254"), "10.0.0.1"),)
    (vif,) = network_info(
        attached,
        settings(),
        host="node1",
        mtus={"br100": 1450},
        plugged=(),
    )
    (subnet, _) = vif["network"]["subnets"]
    assert vif["network"]["meta"]["mtu"] == 1450
    assert subnet["gateway"]["address"] == "10.0.0.1"
    assert subnet["meta"]["dhcp_server"] == "10.0.0.1"


def test_isolation_asks_for_what_it_stands_on():
    """Without br_netfilter nova's was off, and nobody was told."""
    plan = host_plan(
        snapshot(interfaces=(interface(),)),
        settings(allow_same_net_traffic=False),
    )
    for tables in ("iptables", "ip6tables"):
        assert (f"net.bridge.bridge-nf-call-{tables}", "1") in plan.sysctls
