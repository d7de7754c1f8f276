"""What a row of `security_group_rules` means, or why it means nothing.

The operator's tool, the rows that it writes and the plan of every host ask
this one place, so that they cannot differ: what the tool accepts is put into
effect, and what the plan refuses the tool refuses with the same words.

Rows may be written by plain SQL and hold anything.  A row that does not say
exactly one thing is refused whole: read in any way that is wider than meant
it would open an instance, so there is no guessing.

Names of protocols are known here and not read from the /etc/protocols of a
host, which differs from host to host.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from flatnet.exceptions import InvalidSecurityGroupRule
from flatnet.state.rows import SecurityRule

IpNetwork: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_ICMP, _ICMP_V6 = 1, 58
_WITH_PORTS = frozenset({6, 17, 33, 132, 136})
# iptables never sees these as the protocol of an IPv6 packet, but what
# follows them in it.
_EXTENSIONS = frozenset({43, 44, 51, 60})
# What there is in IPv6 alone, so that "anywhere" means any IPv6 address.
_OF_IPV6 = frozenset({43, 44, 58, 59, 60})
_CIDR = re.compile(r"[0-9a-fA-F:.]{2,45}(/[0-9]{1,3})?")
_NUMBER = re.compile(r"[1-9][0-9]{0,2}")
_PORTS = range(65536)
# iptables reads ICMP type 255 as "any".
_ICMP_TYPES = range(255)
_ICMP_CODES = range(256)
_ANYWHERE = {4: "0.0.0.0/0", 6: "::/0"}

# Debian's /etc/protocols, and how nova's and Neutron's callers say it.  The
# first name of a number is the one that is kept.
_NAMES = """
1 icmp; 2 igmp; 3 ggp; 4 ipencap ip-encap; 5 st; 6 tcp; 8 egp; 9 igp; 12 pup;
17 udp; 20 hmp; 22 xns-idp; 27 rdp; 29 iso-tp4; 33 dccp; 36 xtp; 37 ddp;
38 idpr-cmtp; 41 ipv6 ipv6-encap; 43 ipv6-route; 44 ipv6-frag; 45 idrp;
46 rsvp; 47 gre; 50 esp ipsec-esp; 51 ah ipsec-ah; 57 skip;
58 icmpv6 ipv6-icmp; 59 ipv6-nonxt; 60 ipv6-opts; 73 rspf; 81 vmtp; 88 eigrp;
89 ospf ospfigp; 93 ax.25; 94 ipip; 97 etherip; 98 encap; 103 pim;
108 ipcomp; 112 vrrp; 113 pgm; 115 l2tp; 124 isis; 132 sctp; 133 fc;
135 mobility-header; 136 udplite; 137 mpls-in-ip; 138 manet; 139 hip;
140 shim6; 141 wesp; 142 rohc; 143 ethernet
"""


def _numbers() -> Mapping[str, int]:
    """The numbers of protocols by name, a number's first name first."""
    lines = (each.split() for each in _NAMES.split(";"))
    return MappingProxyType(
        {name: int(number) for number, *names in lines for name in names}
    )


PROTOCOLS = _numbers()
# Names that rows have always had instead of the number.
_KEPT = MappingProxyType({1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"})


@dataclass(frozen=True)
class Allowed:
    """What one rule lets in.

    :param protocol: as it is to be written; none for all of them
    :param number: of the protocol
    :param families: 4 and 6, what of IP it can come by
    :param first: the first port, or the ICMP type; none for any
    :param last: the last port, or the ICMP code; none for any
    :param cidr: where it comes from, or none and `group_id` is a number
    """

    protocol: str | None
    number: int | None
    families: frozenset[int]
    first: int | None
    last: int | None
    cidr: IpNetwork | None
    group_id: int | None

    @property
    def is_icmp(self) -> bool:
        """Whether `first` and `last` are an ICMP type and code."""
        return self.number in (_ICMP, _ICMP_V6)


def allowed(rule: SecurityRule) -> Allowed:
    """Return what a rule lets in; whether its group exists is not asked.

    :raises InvalidSecurityGroupRule: the reason, as a phrase
    """
    protocol, number = _protocol(rule.protocol)
    if (rule.cidr is None) == (rule.group_id is None):
        raise InvalidSecurityGroupRule(
            "exactly one of cidr and source group is needed"
        )
    cidr = None if rule.cidr is None else _cidr(rule.cidr)
    if cidr is not None and cidr.version == 6 and number == _ICMP:
        # As nova reads it.
        protocol, number = _KEPT[_ICMP_V6], _ICMP_V6
    first, last = _service(rule, number)
    families = _families(number)
    if cidr is not None:
        if cidr.version not in families:
            raise InvalidSecurityGroupRule(
                f"protocol {protocol} never comes from {rule.cidr!r}"
            )
        families = frozenset({cidr.version})
    return Allowed(
        protocol, number, families, first, last, cidr, rule.group_id
    )


def fault(rule: SecurityRule) -> str | None:
    """Return why a rule lets nothing in, or none."""
    try:
        allowed(rule)
    except InvalidSecurityGroupRule as error:
        return str(error)
    return None


def has_ports(protocol: str | None) -> bool:
    """Whether a protocol, as anybody may write it, has ports.

    :raises InvalidSecurityGroupRule: nobody knows it
    """
    return _protocol(protocol)[1] in _WITH_PORTS


def anywhere(protocol: str | None, family: int | None) -> str:
    """Return the cidr that holds everybody.

    :param family: 4 or 6; none for that which goes with the protocol
    :raises InvalidSecurityGroupRule: nobody knows the protocol
    """
    number = _protocol(protocol)[1]
    return _ANYWHERE[family or (6 if number in _OF_IPV6 else 4)]


def _protocol(value: object) -> tuple[str | None, int | None]:
    """Return a protocol as it is kept, and its number; none for all."""
    if value is None:
        return None, None
    name = str(value).lower()
    if name in PROTOCOLS:
        number = PROTOCOLS[name]
        return _KEPT.get(number, name), number
    if _NUMBER.fullmatch(name) and int(name) <= 255:
        return _KEPT.get(int(name), name), int(name)
    if name in ("0", "ip", "hopopt"):
        raise InvalidSecurityGroupRule(
            f"protocol {value!r} would be every protocol to iptables: leave "
            "it out if that is meant"
        )
    raise InvalidSecurityGroupRule(
        f"unknown protocol {value!r}: neither a name such as tcp, icmpv6 or "
        "gre nor a number from 1 to 255"
    )


def _families(number: int | None) -> frozenset[int]:
    if number == _ICMP_V6:
        return frozenset({6})
    if number == _ICMP or number in _EXTENSIONS:
        return frozenset({4})
    return frozenset({4, 6})


def _cidr(value: object) -> IpNetwork:
    if not isinstance(value, str) or not _CIDR.fullmatch(value):
        raise InvalidSecurityGroupRule(f"malformed cidr {value!r}")
    try:
        return ipaddress.ip_network(value, strict=False)
    except ValueError as error:
        raise InvalidSecurityGroupRule(f"malformed cidr {value!r}") from error


def _service(
    rule: SecurityRule, number: int | None
) -> tuple[int | None, int | None]:
    """Return the ports of a rule, or its ICMP type and code."""
    low, high = rule.from_port, rule.to_port
    if number in _WITH_PORTS:
        return _ports(low, high)
    if number in (_ICMP, _ICMP_V6):
        return _icmp(low, high)
    if (low, high) not in ((None, None), (-1, -1)):
        raise InvalidSecurityGroupRule(
            f"protocol {rule.protocol or 'any'} has no ports"
        )
    return None, None


def _ports(low: int | None, high: int | None) -> tuple[int | None, int | None]:
    if (low, high) == (None, None):
        return None, None
    if not (_is_in(low, _PORTS) and _is_in(high, _PORTS)):
        raise InvalidSecurityGroupRule(
            f"ports {low!r} to {high!r} are not both within 0 to 65535"
        )
    if int(low or 0) > int(high or 0):
        raise InvalidSecurityGroupRule(
            f"ports {low} to {high}: the first is above the last"
        )
    return low, high


def _icmp(kind: int | None, code: int | None) -> tuple[int | None, int | None]:
    kind, code = (None if each == -1 else each for each in (kind, code))
    if kind is None and code is not None:
        raise InvalidSecurityGroupRule(f"ICMP code {code!r} without a type")
    if kind is not None and not _is_in(kind, _ICMP_TYPES):
        raise InvalidSecurityGroupRule(
            f"{kind!r} is no ICMP type from 0 to 254; -1 is any"
        )
    if code is not None and not _is_in(code, _ICMP_CODES):
        raise InvalidSecurityGroupRule(
            f"{code!r} is no ICMP code from 0 to 255; -1 is any"
        )
    return kind, code


def _is_in(value: object, numbers: range) -> bool:
    """Whether it is an integer of `numbers`; True and False are none."""
    return type(value) is int and value in numbers
