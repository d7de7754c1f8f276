"""What dnsmasq is told of IPv6: routers' advertisements, and DHCPv6.

The choices, and what taught them:

* `static,slaac`: guests make the address of their MAC themselves, and DHCPv6
  gives just that one to those who ask; who is not known gets nothing by it.
* `ra-param`: guests are told the mtu, and all again each minute, so that a
  gateway that is another is known soon; its lifetime outlives a restart.
* `dhcp-duid`: made of the network, so that all hosts are one server to guests.
  One that moved is told at once that its lease is not known, and asks for the
  same address again (ISC's client has it a second later, and never without);
  by its own DUID, dnsmasq would be silent until seven eighths of the lease.
* `--except-interface` with the bridge's name would keep IPv6 off it too, so
  that the name server listens on every address of a bridge that is served so.
  Who asks by an uplink is kept off by the guard.

Given up: a guest that forgets its DUID, as one that was installed anew, is
given nothing by DHCPv6 before its lease ends; it has its address by itself.
"""

import ipaddress

from flatnet.state.plan import DhcpServer

# Of the example enterprise numbers (RFC 5612): the DUID is nobody's product.
_ENTERPRISE = 32473
# Seconds between two advertisements, and until a router is forgotten.
_INTERVAL, _LIFETIME = 60, 1800


def listening(server: DhcpServer) -> tuple[str, ...]:
    """Return what keeps the name server to the addresses that are its own."""
    if server.ipv6 is None:
        mine = f"--except-interface={server.bridge}"
        return mine, "--except-interface=lo"
    address = ipaddress.IPv6Address(server.ipv6.address)
    return f"--listen-address={address}", "--except-interface=lo"


def most_leases(server: DhcpServer, addresses: int) -> str:
    """Return how many leases there may be: one of each family for a guest."""
    families = 1 if server.ipv6 is None else 2
    return f"--dhcp-lease-max={families * addresses}"


def arguments(server: DhcpServer) -> tuple[str, ...]:
    """Return what makes it a router and a server of DHCPv6, if it is one.

    :raises ValueError: a value cannot stand there
    """
    if server.ipv6 is None:
        return ()
    network = ipaddress.IPv6Network(server.ipv6.cidr)
    address = ipaddress.IPv6Address(server.ipv6.address)
    duid = bytes.fromhex(server.ipv6.duid).hex(":")
    domain = (
        (f"--dhcp-option=option6:domain-search,{server.domain}",)
        if server.domain
        else ()
    )
    return (
        f"--dhcp-range={network.network_address},static,slaac,"
        f"{network.prefixlen},{int(server.lease_time)}s",
        "--enable-ra",
        f"--ra-param={server.bridge},mtu:{int(server.mtu)},{_INTERVAL},"
        f"{_LIFETIME}",
        f"--dhcp-duid={_ENTERPRISE},{duid}",
        f"--dhcp-option=option6:dns-server,[{address}]",
        # Ours to answer, also that an address has no name.
        f"--local=/{_reversed(network)}/",
        *domain,
    )


def _reversed(network: ipaddress.IPv6Network) -> str:
    """The domain of a range's reverse names, by whole nibbles."""
    name = network.network_address.reverse_pointer
    return name[2 * (network.max_prefixlen - network.prefixlen) // 4 :]
