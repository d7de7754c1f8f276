"""What the host's own DHCP and name service needs of its firewall.

An admin may close INPUT as well as OUTPUT (ufw, hardening guides), and then
an answer that nobody lets out is as bad as a question that nobody lets in.

dnsmasq forwards names to servers that are known here by their address, or
else to those of the host's resolv.conf, which may change at any time: then
it is known by the user that it becomes.  Answers come back by connection
tracking alone.  What is forwarded is let out after guests' own filters, for
a name server may be a guest.
"""

from dataclasses import dataclass

from flatnet.apply.filter.iptables import router_services
from flatnet.apply.filter.iptables.chain_layout import ChainLayout
from flatnet.apply.filter.iptables.matches import ACCEPT
from flatnet.apply.filter.iptables.profiles import of_family
from flatnet.state.filtering import Gateway

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


def services(layout: ChainLayout, family: int) -> Services:
    """Return what one family needs."""
    served = [each for each in layout.gateways if each.serves]
    if not served:
        return Services()
    outside = layout.outside
    servers = of_family(outside.name_servers, family)
    anybody = ("",) * outside.any_name_server
    asked: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    if family == 4:
        asked = tuple(rule for each in served for rule in _asked(each))
        answers = tuple(rule for each in served for rule in _answers(each))
    elif routers := [each for each in served if each.routers]:
        asked = tuple(r for g in routers for r in router_services.asked(g))
        answers = tuple(r for g in routers for r in router_services.answers(g))
    return Services(
        asked + _answered((*servers, *anybody)),
        answers,
        _forwarded(servers, anybody),
    )


def _asked(gateway: Gateway) -> tuple[str, ...]:
    """Let guests reach their DHCP and name server, and us to release."""
    bridge, address = gateway.bridge, gateway.address
    return (
        f"-i {bridge} -p udp -m udp --dport 67 {ACCEPT}",
        f"-d {address}/32 -i lo {_RELEASE}",
        f"-d {address}/32 -i {bridge} -p udp -m udp --dport 53 {ACCEPT}",
        f"-d {address}/32 -i {bridge} -p tcp -m tcp --dport 53 {ACCEPT}",
    )


def _answers(gateway: Gateway) -> tuple[str, ...]:
    """Let those answer, and what releases leases ask."""
    start = f"-s {gateway.address}/32 -o {gateway.bridge}"
    return (
        f"{start} -p udp -m udp --sport 67 --dport 68 {ACCEPT}",
        f"-d {gateway.address}/32 -o lo {_RELEASE}",
        *(
            f"{start} -p {each} -m {each} --sport 53 {_ANSWERS}"
            for each in _PROTOCOLS
        ),
    )


def _forwarded(
    servers: tuple[str, ...], anybody: tuple[str, ...]
) -> tuple[str, ...]:
    """Let out what is asked of these servers, or of anybody by dnsmasq."""
    rules = []
    for each in _PROTOCOLS:
        rest = f"-p {each} -m {each} --dport 53"
        rules += [f"-d {server} {rest} {ACCEPT}" for server in servers]
        rules += [
            f"{rest} -m owner --uid-owner {_NOBODY} {ACCEPT}" for _ in anybody
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
