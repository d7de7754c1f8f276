"""Which kinds of frames arrive through the guard, and at whom.

What is not named arrives nowhere.  IP between guests is for iptables to
judge, which is absent here.
"""

GUEST_TO_GUEST = """\
arp request: B C host
arp reply: B
arp probe: B C host
ip udp: B
ip tcp: B
ip tcp port 0: B
ip icmp echo: B
ip gre: B
ip first fragment: B
ip later fragment: B
ip record route: B
ip loose source route: B
ip broadcast: C
ip broadcast all: C
ip multicast: C
ip unicast in broadcast: B C host
dhcp discover: host
dhcp rebinding: host
dns question: B
dns question, first fragment: B
ip6 udp: B
ip6 echo: B
ip6 later fragment: B
ip6 all nodes: C
dhcp6 solicit: host
mld report: C host
nd solicitation: B C host
nd solicitation without option: B
nd advertisement: B
nd advertisement without option: B
nd advertisement to all: B C host
nd dad: B C host
nd dad with nonce: B C host
nd router solicitation: C host
"""

GUEST_TO_HOST = """\
arp request: B C host
arp reply: host
arp probe: B C host
ip udp: host
ip tcp: host
ip tcp port 0: host
ip icmp echo: host
ip gre: host
ip first fragment: host
ip later fragment: host
ip record route: host
ip loose source route: host
ip broadcast: C
ip broadcast all: C
ip multicast: C
ip outside, target's mac: host
ip other's ip, target's mac: host
ip unicast in broadcast: C host
dhcp discover: host
dhcp renewal: host
dhcp rebinding: host
dns question: host
dns question, first fragment: host
ip6 udp: host
ip6 echo: host
ip6 later fragment: host
ip6 all nodes: C
ip6 global, target's mac: host
dhcp6 solicit: host
mld report: C host
nd solicitation: B C host
nd solicitation without option: host
nd advertisement: host
nd advertisement without option: host
nd advertisement to all: B C host
nd dad: B C host
nd dad with nonce: B C host
nd router solicitation: C host
"""

UPLINK_TO_GUEST = """\
arp request: A B host
arp reply: B
arp probe: A B host
arp odd lengths: host
arp rarp operation: host
arp truncated: A B host
ip udp: B
ip tcp: B
ip tcp port 0: B
ip icmp echo: B
ip gre: B
ip first fragment: B
ip later fragment: B
ip record route: B
ip loose source route: B
ip broadcast: host
ip broadcast all: host
ip multicast: host
ip unicast in broadcast: B host
ip of random mac: B
ip of foreign ip: B
ip of no ip: B
ip icmp redirect: B
ip icmp router advertisement: B
ip igmp query: host
dhcp offer: host
dhcp offer from nowhere: host
dns question: B
dns question, first fragment: B
ip6 udp: B
ip6 echo: B
ip6 later fragment: B
ip6 all nodes: host
ip6 of global ip6: B
ip6 of no ip6: B
router advertisement: host
router advertisement in unicast: B
router advertisement behind options: B
router advertisement, header in 2nd fragment: B
icmp6 redirect: B
mld query: A B host
mld report: host
router advertisement, later fragment: host
router advertisement, first fragment: B
options, later fragment: B
ip6 fragment behind options: B
nd solicitation: A B host
nd solicitation without option: B
nd advertisement: B
nd advertisement without option: B
nd advertisement to all: A B host
nd dad: A B host
nd dad with nonce: A B host
nd router solicitation: host
nd dad with a mac: A B host
nd solicitation with other's mac: A B host
nd advertisement with other's mac: B
nd advertisement with two macs: B
nd advertisement with an odd option: B
nd router solicitation with other's mac: host
experimental broadcast: host
cdp: host
pvst: host
stp: host
lldp: host
"""

GUEST_TO_GUEST_SAME_NET = """\
arp request: B C host
arp reply: B
arp probe: B C host
ip udp: B
ip tcp: B
ip tcp port 0: B
ip icmp echo: B
ip gre: B
ip first fragment: B
ip later fragment: B
ip record route: B
ip loose source route: B
ip broadcast: B C host
ip broadcast all: B C host
ip multicast: B C host
ip unicast in broadcast: B C host
dhcp discover: host
dhcp rebinding: host
dns question: B
dns question, first fragment: B
ip6 udp: B
ip6 echo: B
ip6 later fragment: B
ip6 all nodes: B C host
dhcp6 solicit: host
mld report: B C host
nd solicitation: B C host
nd solicitation without option: B
nd advertisement: B
nd advertisement without option: B
nd advertisement to all: B C host
nd dad: B C host
nd dad with nonce: B C host
nd router solicitation: B C host
"""

GUEST_TO_GUEST_SPOOFING = """\
arp request: B C host
arp reply: B
arp probe: B C host
arp probe for target's ip: B C host
arp probe for other's ip: B C host
arp reply from nowhere: B C host
arp of other's ip: B C host
arp reply of other's ip: B
arp of target's ip: B C host
arp of other's mac: B C host
arp of other: B C host
arp by other: B C host
arp odd lengths: C host
arp rarp operation: C host
arp truncated: B C host
ip udp: B
ip tcp: B
ip tcp port 0: B
ip icmp echo: B
ip gre: B
ip first fragment: B
ip later fragment: B
ip record route: B
ip loose source route: B
ip broadcast: C
ip broadcast all: C
ip multicast: C
ip unicast in broadcast: B C host
ip of other's ip: B
ip of other: B
ip of other's mac: B
ip of random mac: B
ip of foreign ip: B
ip of no ip: B
ip fragment of other's ip: B
ip icmp redirect: B
ip icmp router advertisement: B
ip igmp query: C
dhcp discover: host
dhcp rebinding: host
dhcp offer: B C
dhcp offer in unicast: B
dhcp offer from nowhere: B C
dhcp offer from a high port: B
dhcp offer, first fragment: B
dns question: B
dns question, first fragment: B
ip6 udp: B
ip6 echo: B
ip6 later fragment: B
ip6 all nodes: C
ip6 of other's ip6: B
ip6 of global ip6: B
ip6 of other: B
ip6 of no ip6: B
dhcp6 advertise: B
dhcp6 solicit: host
router advertisement: C host
router advertisement in unicast: B
router advertisement behind options: B
router advertisement, header in 2nd fragment: B
icmp6 redirect: B
mld query: B C host
mld report: C host
router advertisement, later fragment: C host
router advertisement, first fragment: B
options, later fragment: B
ip6 fragment behind options: B
nd solicitation: B C host
nd solicitation without option: B
nd advertisement: B
nd advertisement without option: B
nd advertisement to all: B C host
nd dad: B C host
nd dad with nonce: B C host
nd router solicitation: C host
nd dad of other's ip6: B C host
nd dad with a mac: B C host
nd advertisement of other's ip6: B
nd advertisement of target's ip6: B C host
nd solicitation of other's ip6: B C host
nd solicitation with other's mac: B C host
nd advertisement with other's mac: B
nd advertisement with two macs: B
nd advertisement with an odd option: B
nd router solicitation with other's mac: C host
ip of target's mac: B C host
"""
