"""Filters that need every kind of rule that there is."""

from flatnet.state.filtering import (
    Filter,
    FlatNetwork,
    Gateway,
    Group,
    Guest,
    Members,
    Opening,
    Outside,
)
from flatnet.state.sliced_collections import SlicedSet

SOURCES = {
    4: ("10.1.0.0/16", "10.1.2.3/32"),
    6: ("2001:db8::/32", "2001:db8::7/128", "fe80::/10"),
}
PORTS = ((22, 22), (80, 90), (0, 0), (0, 65535), (1, 65535))
WITH_PORTS = (6, 17, 33, 132, 136)
ICMP = {4: 1, 6: 58}
# Here it is nobody's; at least IPv6 never has these behind an address.
EXTENSIONS = (43, 44, 51, 60)


def openings(family):
    """All that an opening can say, in one family."""
    yield Opening(family)
    yield Opening(family, group=7)
    for source in SOURCES[family]:
        yield Opening(family, source)
    for number in range(1, 256):
        if family == 4 or number not in EXTENSIONS:
            yield Opening(family, protocol=number)
            yield Opening(family, SOURCES[family][0], protocol=number)
    for number in WITH_PORTS:
        for ports in PORTS:
            yield Opening(family, None, None, number, *ports)
            yield Opening(family, SOURCES[family][1], None, number, *ports)
            yield Opening(family, None, 7, number, *ports)
    for kind in range(255):
        yield Opening(family, None, None, ICMP[family], kind)
    for code in (0, 1, 255):
        yield Opening(family, SOURCES[family][0], None, ICMP[family], 3, code)
        yield Opening(family, None, 7, ICMP[family], 128, code)


OUTSIDES = (
    Outside(
        forwards=("eth1", "lo"),
        source_ip="192.0.2.1",
        public_interface="ext0",
        snat_ranges=("0.0.0.0/0", "198.51.100.0/24"),
        kept=("10.128.0.0/24", "192.0.2.9/32"),
        metadata=("192.0.2.9", 8775),
        name_servers=("192.0.2.53/32", "2001:db8::53/128"),
        any_name_server=True,
    ),
    Outside(metadata=("127.0.0.1", 8775), any_name_server=True),
    Outside(source_ip="192.0.2.1", public_interface="lo", kept=("0.0.0.0/0",)),
)


def everything(outside, *, same_network):
    """A filter with two networks, one of them with another gateway."""
    return Filter(
        same_network=same_network,
        networks=(
            FlatNetwork("br100", "10.0.0.0/24", "fd00::/64"),
            FlatNetwork("br200", "10.0.1.0/24"),
        ),
        guests=(
            guest(2, "br100", filtered=True, groups=(1, 2)),
            guest(3, "br100", filtered=True, groups=(1,)),
            guest(4, "br200", filtered=True),
            guest(5, "br200", filtered=False),
        ),
        groups=(
            Group(1, (*openings(4), *openings(6))),
            Group(2, (Opening(4), Opening(6))),
        ),
        members=(Members(7, SlicedSet({"10.0.0.9", "fe80::9"})),),
        gateways=(
            Gateway("br100", "10.0.0.0/24", "10.0.0.1", serves=True),
            Gateway("br200", "10.0.1.0/24", "10.0.1.1", external=True),
        ),
        outside=outside,
    )


def guest(number, bridge, *, filtered, groups=()):
    """A guest with an address of each family."""
    addresses = (f"10.0.0.{number}", f"fe80::{number}")
    return Guest(
        f"vif-{number}", f"vm-{number}", bridge, addresses, filtered, groups
    )
