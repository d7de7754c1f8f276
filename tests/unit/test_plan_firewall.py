"""The iptables tables of whole hosts, as text."""

import pytest

from flatnet.apply.filter.iptables.rendering import rules
from tests.builders import interface, network, settings, snapshot
from tests.planned import filter_plan


def text(rows, **options):
    """The tables like iptables-save shows them; no warnings."""
    options = {"routing_source_ip": "192.0.2.1", **options}
    wanted, warnings = filter_plan(rows, settings(**options))
    planned = rules(wanted)
    assert warnings == ()
    lines = []
    for table in planned.tables:
        lines.append(f"*{table.name} {table.family}")
        lines += [f"-A {jump.builtin} -j {jump.chain}" for jump in table.jumps]
        lines += [
            f"-A {chain.name} {rule}"
            for chain in table.chains
            for rule in chain.rules
        ]
    return "\n".join(lines) + "\n"


# What came by the bridge is not routed back into it.
TURNED_BACK = (
    "-i {0} -o {0} -m physdev ! --physdev-is-bridged -m conntrack ! --ctstate "
    "SNAT,DNAT -j DROP"
)

BACK = "-m conntrack --ctstate ESTABLISHED -j ACCEPT"


GATEWAY = (
    f"""\
*filter 4
-A FORWARD -j flatnet-FORWARD
-A INPUT -j flatnet-INPUT
-A OUTPUT -j flatnet-OUTPUT
-A flatnet-FORWARD {TURNED_BACK.format("br100")}
-A flatnet-FORWARD -i br100 -j ACCEPT
-A flatnet-FORWARD -o br100 -j ACCEPT
-A flatnet-INPUT -i br100 -p udp -m udp --dport 67 -j ACCEPT
-A flatnet-INPUT -d 10.0.0.1/32 -i lo -p udp -m udp --dport 67 -j ACCEPT
-A flatnet-INPUT -d 10.0.0.1/32 -i br100 -p udp -m udp --dport 53 -j ACCEPT
-A flatnet-INPUT -d 10.0.0.1/32 -i br100 -p tcp -m tcp --dport 53 -j ACCEPT
-A flatnet-INPUT -s 192.0.2.53/32 -p udp -m udp --sport 53 {BACK}
-A flatnet-INPUT -s 192.0.2.53/32 -p tcp -m tcp --sport 53 {BACK}
-A flatnet-OUTPUT -s 10.0.0.1/32 -o br100 -p udp -m udp --sport 67 """
    f"""--dport 68 -j ACCEPT
-A flatnet-OUTPUT -d 10.0.0.1/32 -o lo -p udp -m udp --dport 67 -j ACCEPT
-A flatnet-OUTPUT -s 10.0.0.1/32 -o br100 -p udp -m udp --sport 53 {BACK}
-A flatnet-OUTPUT -s 10.0.0.1/32 -o br100 -p tcp -m tcp --sport 53 {BACK}
-A flatnet-OUTPUT -d 192.0.2.53/32 -p udp -m udp --dport 53 -j ACCEPT
-A flatnet-OUTPUT -d 192.0.2.53/32 -p tcp -m tcp --dport 53 -j ACCEPT
*mangle 4
-A POSTROUTING -j flatnet-POSTROUTING
-A flatnet-POSTROUTING -o br100 -p udp -m udp --dport 68 -j CHECKSUM """
    """--checksum-fill
*nat 4
-A POSTROUTING -j flatnet-POSTROUTING
-A PREROUTING -j flatnet-PREROUTING
-A flatnet-POSTROUTING -s 10.0.0.0/24 -d 198.51.100.7/32 -j ACCEPT
-A flatnet-POSTROUTING -s 10.0.0.0/24 -d 10.0.0.0/24 -m conntrack ! """
    """--ctstate DNAT -j ACCEPT
-A flatnet-POSTROUTING -s 10.0.0.0/24 -o eth0 -j SNAT --to-source 192.0.2.1
-A flatnet-PREROUTING -d 169.254.169.254/32 -i br100 -p tcp -m tcp """
    """--dport 80 -j DNAT --to-destination 198.51.100.7:80
*raw 4
-A PREROUTING -j flatnet-PREROUTING
-A flatnet-PREROUTING -s 10.0.0.0/24 ! -d 10.0.0.0/24 -i br100 -p udp """
    """-m udp --dport 69 -j CT --helper tftp
-A flatnet-PREROUTING -s 10.0.0.0/24 -d 10.0.0.1/32 -i br100 -p udp """
    """-m udp --dport 69 -j CT --helper tftp
*filter 6
-A FORWARD -j flatnet-FORWARD
-A flatnet-FORWARD -i br100 -o br100 -j ACCEPT
"""
)


def test_a_gateway_without_isolation():
    rows = snapshot(interfaces=(interface(1),))
    options = {"metadata_host": "198.51.100.7", "metadata_port": 80}
    assert text(rows, dns_server=("192.0.2.53",), **options) == GATEWAY


def tftp_helpers(row):
    shown = text(snapshot(networks=(row,))).splitlines()
    return [line for line in shown if "-j CT --helper tftp" in line]


def test_tftp_is_followed_where_the_host_is_the_gateway():
    own, external = (
        tftp_helpers(each)
        for each in (
            network(),
            network(gateway="10.0.0.254", multi_host=False),
        )
    )
    # What goes by another router does not leave by this host.
    assert len(own) == 2
    assert [line for line in own if "! -d" not in line] == external


def test_servers_of_the_host_are_asked_by_dnsmasq_alone():
    shown = text(snapshot()).splitlines()
    by_user = [line for line in shown if "owner" in line]
    assert by_user == 2 * [
        f"-A flatnet-OUTPUT -p {each} -m {each} --dport 53 -m owner "
        "--uid-owner 65534 -j ACCEPT"
        for each in ("udp", "tcp")
    ]
    mixed = text(snapshot(), dns_server=("2001:db8::53", "rubbish"))
    assert "owner" not in mixed
    assert "-d 2001:db8::53/128 -p udp -m udp --dport 53 -j ACCEPT" in mixed


def test_flat_manager_only_lets_the_bridge_be_crossed():
    rows = snapshot(interfaces=(interface(1),))
    assert (
        text(rows, dhcp=False)
        == """\
*filter 4
-A FORWARD -j flatnet-FORWARD
-A flatnet-FORWARD -i br100 -o br100 -j ACCEPT
*filter 6
-A FORWARD -j flatnet-FORWARD
-A flatnet-FORWARD -i br100 -o br100 -j ACCEPT
"""
    )


def test_a_host_without_networks_has_no_tables():
    assert text(snapshot(networks=(), host_addresses=())) == "\n"


def test_without_dhcp_in_the_network_the_host_is_only_its_gateway():
    shown = text(snapshot(networks=(network(enable_dhcp=False),)))
    assert "flatnet-INPUT" not in shown
    assert "-j SNAT" in shown


def source_nat(row, **options):
    shown = text(snapshot(networks=(row,)), **options).splitlines()
    return [
        line.split("POSTROUTING ")[1] for line in shown if "j SNAT" in line
    ]


@pytest.mark.parametrize(
    ("fields", "external"),
    [
        ({}, False),
        ({"gateway": "10.0.0.1", "multi_host": False}, False),
        ({"gateway": "10.0.0.254"}, False),
        ({"gateway": "10.0.0.254", "multi_host": False}, True),
    ],
)
def test_an_external_gateway_gets_source_nat_only_where_forced(
    fields, external
):
    ranges = ("198.51.100.0/24", "203.0.113.0/24")
    forced = [
        f"-s 10.0.0.0/24 -d {cidr} -j SNAT --to-source 192.0.2.1"
        for cidr in ranges
    ]
    ours = ["-s 10.0.0.0/24 -o eth0 -j SNAT --to-source 192.0.2.1"]
    row = network(**fields)
    assert source_nat(row) == ([] if external else ours)
    found = source_nat(row, force_snat_range=ranges)
    assert found == (forced if external else ours)


def test_the_dmz_and_no_address_mean_no_source_nat():
    shown = text(snapshot(), dmz_cidr=("10.128.0.0/24",))
    accept = "-A flatnet-POSTROUTING -s 10.0.0.0/24 -d 10.128.0.0/24 -j ACCEPT"
    assert accept in shown
    assert shown.index(accept) < shown.index("-j SNAT")
    assert source_nat(network(), routing_source_ip="") == []


def test_a_metadata_service_on_loopback_is_redirected_to():
    shown = text(snapshot(), metadata_host="127.0.0.1")
    assert "--dport 80 -j REDIRECT --to-ports 8775" in shown
    assert "169.254" not in text(snapshot(), metadata_host="")


def test_forward_bridge_interface_limits_where_guests_get():
    shown = text(snapshot(), forward_bridge_interface=("eth1",))
    assert [
        line.removeprefix("-A flatnet-FORWARD ")
        for line in shown.splitlines()
        if line.startswith("-A flatnet-FORWARD")
    ] == [
        TURNED_BACK.format("br100"),
        "-i br100 -o eth1 -j ACCEPT",
        "-i eth1 -o br100 -j ACCEPT",
        "-i br100 -o br100 -j ACCEPT",
        "-i br100 -j DROP",
        "-o br100 -j DROP",
    ]


def test_every_bridge_is_judged_before_any_is_accepted():
    second = network(id=2, uuid="2" * 36, cidr="10.1.0.0/24", bridge="br200")
    rows = snapshot(
        networks=(network(), second),
        host_addresses=((1, "10.0.0.1"), (2, "10.1.0.1")),
        interfaces=(
            interface(1, uuid="1" * 36),
            interface(2, uuid="2" * 36, network_id=2, addresses=("10.1.0.2",)),
        ),
    )
    shown = text(rows, allow_same_net_traffic=False).splitlines()
    forward = [line for line in shown if "-A flatnet-FORWARD" in line]
    assert [line.split("FORWARD ")[1] for line in forward[:8]] == [
        TURNED_BACK.format("br100"),
        TURNED_BACK.format("br200"),
        "-o br100 -j flatnet-local",
        "-o br200 -j flatnet-local",
        "-i br100 -j ACCEPT",
        "-o br100 -j ACCEPT",
        "-i br200 -j ACCEPT",
        "-o br200 -j ACCEPT",
    ]
