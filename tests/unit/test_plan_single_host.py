"""A network that one host serves for the guests of all, as values."""

from dataclasses import replace

import pytest

from flatnet.apply.filter.guard.sets import host_elements
from flatnet.apply.filter.iptables.rendering import rules
from flatnet.apply.link.strangers import Strangers
from flatnet.plan.bridge import bridge_mac
from flatnet.plan.nwinfo import network_info
from flatnet.state.composed import composed
from flatnet.state.sources import Sources
from tests.builders import interface, named, network, settings, snapshot
from tests.planned import host_plan, parts_of

MAC = "02:00:00:00:00:77"
ROW = network(
    multi_host=False, host="node1", dhcp_server="10.0.0.1", server_mac=MAC
)
AWAY = replace(ROW, host="node7")
CLOSED = {"allow_same_net_traffic": False, "flat_interface": "eth1"}


def serving(*here, served=(), **fields):
    """The rows of the host that serves."""
    of = {"networks": (ROW,), "interfaces": here, "served": served, **fields}
    return snapshot(**of, named=named((*here, *served)))


def bridging(*here, row=AWAY):
    """The rows of another host."""
    return snapshot(networks=(row,), interfaces=here, host_addresses=())


def plan(rows, **options):
    return host_plan(rows, settings(**{**CLOSED, **options}))


def test_the_server_knows_the_guests_of_all_hosts():
    rows = serving(interface(1), served=(interface(3), interface(2)))
    found = plan(rows)
    (server,) = found.dhcp_servers
    assert [(each.address, each.name) for each in server.hosts] == [
        ("10.0.0.2", "vm_1"),
        ("10.0.0.3", "vm_2"),
        ("10.0.0.4", "vm_3"),
    ]
    assert (server.address, server.router) == ("10.0.0.1", "10.0.0.1")
    (bridge,) = found.bridges
    # Guests of others have no port here, nor is anything judged for them.
    assert [port.name for port in bridge.ports] == ["tapaaaaaa01-aa"]
    assert len(found.guard.ports) == len(found.filter.guests) == 1


def test_the_default_route_is_by_the_first_interface_wherever_it_is():
    second = interface(2, has_default_route=False)
    (server,) = plan(serving(served=(interface(3), second))).dhcp_servers
    assert [each.has_router for each in server.hosts] == [False, True]


def test_others_only_bridge():
    found = plan(bridging(interface(1)))
    (bridge,) = found.bridges
    assert bridge.address is None
    assert (found.dhcp_servers, found.filter.gateways) == ((), ())
    assert ("net.ipv4.ip_forward", "1") not in found.sysctls
    assert found.forwarding.devices == ()


def test_names_are_one_hosts_wherever_it_is():
    first = interface(2, instance_id=1, hostname="web")
    later = interface(1, instance_id=2, hostname="web")
    (server,) = plan(serving(later, served=(first,))).dhcp_servers
    assert [each.name for each in server.hosts] == [None, "web"]


def test_a_router_of_its_own_is_the_guests_gateway():
    row = replace(ROW, gateway="10.0.0.254")
    found = plan(serving(interface(1), networks=(row,)))
    assert found.dhcp_servers[0].router == "10.0.0.254"
    assert found.filter.gateways[0].external
    assert subnet(row)["gateway"]["address"] == "10.0.0.254"
    assert subnet(row)["meta"] == {"dhcp_server": "10.0.0.1"}


def subnet(row, **options):
    (vif,) = network_info(
        ((interface(), row, None),),
        settings(**options),
        host="node1",
        mtus={},
        plugged=(),
    )
    return vif["network"]["subnets"][0]


def test_the_gateway_is_the_servers_on_every_host():
    for row in (ROW, AWAY, replace(AWAY, host=None)):
        assert subnet(row)["gateway"]["address"] == "10.0.0.1"
        assert subnet(row)["meta"] == {"dhcp_server": "10.0.0.1"}
    assert subnet(ROW, dhcp=False)["gateway"]["address"] is None


def test_its_address_is_announced_and_asked_for_while_nobody_has_it():
    """Who served before may answer for it, though it is silent else."""
    (bridge,) = plan(serving()).bridges
    assert (bridge.asks, bridge.announced) == (True, 3)
    for rows in (serving(interface(1)), serving(served=(interface(1),))):
        assert [each.asks for each in plan(rows).bridges] == [False]
    (bridge,) = plan(snapshot(interfaces=(interface(1),))).bridges
    assert (bridge.asks, bridge.announced) == (True, 0)


def elements(rows, **options):
    """What leads to the server, in the guard's sets."""
    guard = plan(rows, **options).guard
    found = Strangers(ways=frozenset({("br100", "eth1")}))
    names = ("servers", "new_servers", "server_ipv4", "name_servers")
    kinds = (*names, "own_servers", "asking_uplinks", "own_uplinks")
    return {
        (name, element)
        for name, element in host_elements(guard, found)
        if name in (*kinds, "dhcp_uplinks")
    }


def test_the_guard_knows_where_the_server_is():
    asking = {("asking_uplinks", ("eth1",)), ("name_servers", ("10.0.0.1",))}
    assert elements(bridging(interface(1))) == asking | {
        entry
        for address in ("10.0.0.1", "169.254.169.254")
        for entry in (
            ("servers", ("eth1", MAC, address)),
            ("server_ipv4", ("eth1", address)),
        )
    }
    unknown = replace(AWAY, server_mac=None)
    assert elements(bridging(interface(1), row=unknown)) == asking | {
        ("new_servers", ("eth1", "10.0.0.1")),
    }
    assert elements(serving(interface(1))) == {
        ("dhcp_uplinks", ("eth1",)),
        ("name_servers", ("10.0.0.1",)),
    }


def test_without_a_server_nobody_answers():
    nobody = replace(AWAY, host=None, server_mac=None)
    rows = bridging(interface(1), row=nobody)
    assert elements(rows) == {("asking_uplinks", ("eth1",))}


def test_flat_manager_asks_whoever_is_there():
    assert elements(bridging(interface(1)), dhcp=False) == set()


def local_chain(rows):
    tables = rules(plan(rows).filter).tables
    return [
        rule
        for table in tables
        for chain in table.chains
        if (table.family, chain.name) == (4, "flatnet-local")
        for rule in chain.rules
        if "67" in rule
    ]


def test_answers_of_the_server_are_let_in_where_it_is_elsewhere():
    match = (
        "-s 10.0.0.1/32 -o br100 -p udp -m physdev --physdev-is-bridged "
        "-m udp --sport 67 --dport 68"
    )
    assert local_chain(bridging(interface(1))) == [
        f"{match} -j MARK --set-xmark 0x10000000/0x10000000",
        f"{match} -j ACCEPT",
    ]
    assert local_chain(serving(interface(1))) == []


@pytest.mark.parametrize("renamed", [False, True])
def test_who_comes_to_the_servers_host_or_leaves_it_is_one_line(renamed):
    """And nobody's line changes by it."""
    sources, before = Sources(), None
    there = interface(1)
    here = replace(there, hostname="other") if renamed else there
    hosts = []
    for rows in (
        serving(interface(2), served=(there,)),
        serving(here, interface(2)),
        serving(interface(2), served=(there,)),
    ):
        before = parts_of(rows, settings(**CLOSED), before=before)
        hosts.append(composed(before.parts, sources).dhcp_servers[0].hosts)
    name = "other" if renamed else "vm_1"
    assert [[each.name for each in found] for found in hosts] == [
        ["vm_1", "vm_2"],
        [name, "vm_2"],
        ["vm_1", "vm_2"],
    ]


def test_a_row_that_makes_no_sense_is_left_out():
    row = replace(AWAY, dhcp_server="rubbish", server_mac="none")
    found = parts_of(bridging(interface(1), row=row), settings(**CLOSED))
    (part,) = found.parts.networks.values()
    assert (part.guarded.server, part.guarded.server_mac) == (None, None)
    assert len([*found.warnings()]) == 2


def test_the_mac_is_the_hosts_own():
    (bridge,) = plan(serving()).bridges
    assert bridge.mac == bridge_mac("node1", ROW.uuid)
