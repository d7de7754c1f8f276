"""Every kind of frame that a machine may try, honest or forged.

Each is sent by `sender` towards `target`; where one is forged it uses the
identity of `other`, a guest of the same bridge.  All carry a mark, by which
receivers know them.
"""

from frames import BROADCAST, IP, ether, ip, udp
from kinds_arp import of_arp
from kinds_ip import of_dhcp, of_ip
from kinds_ip6 import of_ip6
from kinds_link import of_ethertypes, of_groups, of_tags
from kinds_nd import of_discovery


def kinds(sender, target, other):
    """Return {name: function from a mark to a frame}, honest ones first."""
    return {
        **of_arp(sender, target, other),
        **of_ip(sender, target, other),
        **of_dhcp(sender, target, other),
        **of_ip6(sender, target, other),
        **of_discovery(sender, target, other),
        **of_tags(sender, target),
        **of_ethertypes(sender, target),
        **of_groups(sender, target, other),
        # Last, because a bridge that learns it keeps the rest from target.
        "ip of target's mac": lambda mark: ether(
            BROADCAST,
            target.mac,
            IP,
            ip(sender.ip, target.ip, 17, udp(999, 7777, mark)),
        ),
    }
