"""What the host's own DHCP and name service needs of its firewall.

An admin may close INPUT as well as OUTPUT (ufw, hardening guides), and then
an answer that nobody lets out is as bad as a question that nobody lets in.

dnsmasq forwards names to servers that are known here by their address, or
else to those of the host's resolv.conf, which may change at any time: then
it is known by the user that it becomes.  Answers come back by connection
tracking alone.  What is forwarded is let out after guests' own filters, for
a name server may be a guest.
"""

import contextlib
import ipaddress
from dataclasses import dataclass

from flatnet.plan.dhcp import forwarders
from flatnet.rows import Network
from flatnet.settings import Settings

_ANSWERS = "-m conntrack --ctstate ESTABLISHED -j ACCEPT"
# What dhcp_release sends to the server of its own host.
_RELEASE = "-p udp -m udp --dport 67 -j ACCEPT"
_PROTOCOLS = ("udp", "tcp")
# The user `nobody`, which dnsmasq becomes if it is told nothing else.
_NOBODY = 65534


@dataclass(frozen=True)
class Services:
    """Rules of one family for INPUT and OUTPUT.

    `first` stand in OUTPUT before guests are filtered, `last` after that.
    """

    incoming: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    last: tuple[str, ...] = ()


def services(
    served: list[tuple[Network, str]], settings: Settings
) -> tuple[Services, Services]:
    """Return what IPv4 and IPv6 need.

    :param served: the networks with DHCP, each with its bridge's address
    """
    known = [forwarders(network, settings) for network, _ in served]
    servers = {each for addresses in known for each in addresses}
    # A dnsmasq that is told of none asks those of the host.
    anybody = ("",) * (not all(known))
    out = {}
    back = {}
    for family, network in (
        (4, ipaddress.IPv4Network),
        (6, ipaddress.IPv6Network),
    ):
        there = _networks(servers, network)
        out[family] = _forwarded(there, anybody)
        back[family] = _answered((*there, *anybody))
    return (
        Services(
            tuple(rule for each in served for rule in _asked(*each)) + back[4],
            tuple(rule for each in served for rule in _answers(*each)),
            out[4],
        ),
        Services(back[6], (), out[6]),
    )


def _networks(
    servers: set[str],
    network: type[ipaddress.IPv4Network] | type[ipaddress.IPv6Network],
) -> list[str]:
    """The servers of one family; what is no address is for others to tell."""
    found = []
    for each in servers:
        with contextlib.suppress(ValueError):
            found.append(str(network(each)))
    return sorted(found)


def _asked(network: Network, address: str) -> tuple[str, ...]:
    """Let guests reach their DHCP and name server, and us to release."""
    bridge = network.bridge
    return (
        f"-i {bridge} -p udp -m udp --dport 67 -j ACCEPT",
        f"-d {address}/32 -i lo {_RELEASE}",
        f"-d {address}/32 -i {bridge} -p udp -m udp --dport 53 -j ACCEPT",
        f"-d {address}/32 -i {bridge} -p tcp -m tcp --dport 53 -j ACCEPT",
    )


def _answers(network: Network, address: str) -> tuple[str, ...]:
    """Let those answer, and what releases leases ask."""
    start = f"-s {address}/32 -o {network.bridge}"
    return (
        f"{start} -p udp -m udp --sport 67 --dport 68 -j ACCEPT",
        f"-d {address}/32 -o lo {_RELEASE}",
        *(
            f"{start} -p {each} -m {each} --sport 53 {_ANSWERS}"
            for each in _PROTOCOLS
        ),
    )


def _forwarded(
    servers: list[str], anybody: tuple[str, ...]
) -> tuple[str, ...]:
    """Let out what is asked of these servers, or of anybody by dnsmasq."""
    rules = []
    for each in _PROTOCOLS:
        rest = f"-p {each} -m {each} --dport 53"
        rules += [f"-d {server} {rest} -j ACCEPT" for server in servers]
        rules += [
            f"{rest} -m owner --uid-owner {_NOBODY} -j ACCEPT" for _ in anybody
        ]
    return tuple(rules)


def _answered(servers: tuple[str, ...]) -> tuple[str, ...]:
    """Let in what they answer; an empty one is anybody."""
    return tuple(
        f"-s {server} {rest}" if server else rest
        for rest in (
            f"-p {each} -m {each} --sport 53 {_ANSWERS}" for each in _PROTOCOLS
        )
        for server in servers
    )
