"""What guests' router of IPv6 needs of the firewall of its host.

It is asked, and it speaks to guests that never asked: it advertises, answers
DHCPv6 by messages that no connection is tracked of, and asks who has an
address, as ARP does.  An admin may close INPUT as well as OUTPUT.
"""

from flatnet.apply.filter.iptables.matches import ACCEPT
from flatnet.state.filtering import Gateway

_ICMP = "-p ipv6-icmp -m icmp6 --icmpv6-type"
# Of routers: solicitation, advertisement; the same of neighbours.
_SOLICITED, _ADVERTISED = 133, 134
_NEIGHBOURS = (135, 136)
_ANSWERS = "-m conntrack --ctstate ESTABLISHED -j ACCEPT"
_PROTOCOLS = ("udp", "tcp")


def asked(gateway: Gateway) -> tuple[str, ...]:
    """Return what lets guests ask it, for INPUT."""
    start = f"-i {gateway.bridge}"
    return (
        f"{start} -p udp -m udp --dport 547 {ACCEPT}",
        *(
            f"{start} {_ICMP} {kind} {ACCEPT}"
            for kind in (_SOLICITED, *_NEIGHBOURS)
        ),
        *(
            f"-d {address}/128 {start} -p {each} -m {each} --dport 53 {ACCEPT}"
            for address in gateway.routers
            for each in _PROTOCOLS
        ),
    )


def said(gateway: Gateway) -> tuple[str, ...]:
    """Return what matches the packets that it begins with."""
    start = f"-o {gateway.bridge}"
    return (
        f"{start} -p udp -m udp --sport 547 --dport 546",
        *(f"{start} {_ICMP} {kind}" for kind in (_ADVERTISED, *_NEIGHBOURS)),
    )


def answers(gateway: Gateway) -> tuple[str, ...]:
    """Return what lets it speak, for OUTPUT."""
    return (
        *(f"{each} {ACCEPT}" for each in said(gateway)),
        *(
            f"-s {address}/128 -o {gateway.bridge} -p {each} -m {each} "
            f"--sport 53 {_ANSWERS}"
            for address in gateway.routers
            for each in _PROTOCOLS
        ),
    )
