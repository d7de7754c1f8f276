"""What others do to a host, and what shows that it is as it was before.

Each act is a script of the shell, and so is its look, which prints the same
before the act and once the host is repaired.  Both run on the host, and name
by `{...}` what is there: a guest's port `tap`, the address of a guest, and one
of the sets of groups that it is a member of; `taps` and `addresses` are files
with those of all guests that stay, `stem` is what the names of the DHCP
server's files begin with.
"""

from dataclasses import dataclass

from flatnet.lab.spec import BRIDGE

_IPTABLES = "sed -e '/^#/d' -e 's/ \\[.*//' | sort"
_RULES = (
    f"iptables-save | {_IPTABLES}; ip6tables-save | {_IPTABLES}; "
    "nft list tables | sort"
)
_RESTORE = (
    "printf '*filter\\n-D FORWARD 1\\n-F flatnet-FORWARD\\n"
    "-X flatnet-FORWARD\\nCOMMIT\\n' | iptables-restore --noflush"
)
# An accept of everything under the name that our rule had.
_EDIT = (
    "c=$(iptables -S flatnet-FORWARD 1 | grep -o 'flatnet:[0-9a-f]*'); "
    "iptables -R flatnet-FORWARD 1 -m comment --comment $c -j ACCEPT"
)
# Who comes and goes meanwhile is not looked at.
_MEMBERS = "ipset save | grep -cwFf {addresses}"
_PORTS = f"ls /sys/class/net/{BRIDGE}/brif | grep -cxFf {{taps}}"


def _device(name: str) -> str:
    path = f"/sys/class/net/{name}"
    return f"cat {path}/flags {path}/mtu; readlink {path}/master"


_BRIDGE = f"{_device(BRIDGE)}; ip -4 -br address show {BRIDGE}; {_PORTS}"
_UPLINK = f"{_device('eth1')}; bridge link show dev eth1 | grep -o 'state.*'"
_SETTINGS = (
    "sysctl net.ipv4.ip_forward net.bridge.bridge-nf-call-iptables "
    f"net.ipv4.conf.{BRIDGE}.forwarding"
)
# Whether it runs, serves DHCP, knows a guest and has its file of leases open.
_SERVER = (
    "pid=$(cat {stem}.pid); cut -d' ' -f3 /proc/$pid/stat | tr RD S; "
    "ss -Hlnu | grep -c ':67 '; "
    "grep -hwF {address} {stem}.hosts {stem}.names; "
    "readlink /proc/$pid/fd/* | grep -xF {stem}.leases"
)


@dataclass(frozen=True)
class Act:
    """What somebody does: its name, how it is done, and the look."""

    name: str
    script: str
    look: str


# By what they are done to.
RULES = (
    Act("iptables -F", "iptables -F", _RULES),
    Act("nft flush ruleset", "nft flush ruleset", _RULES),
    Act("jump deleted", "iptables -D FORWARD 1", _RULES),
    Act("chain deleted", _RESTORE, _RULES),
    Act("rule edited in place", _EDIT, _RULES),
)
SETS = (
    Act("filter's set flushed", "ipset flush flatnet-filtered4", _MEMBERS),
    Act(
        "member of the filter's set deleted",
        "ipset del flatnet-filtered4 {address}",
        _MEMBERS,
    ),
    Act(
        "member of a group's set deleted",
        "ipset del {set} {address}",
        _MEMBERS,
    ),
)
PORTS = (
    Act(
        "tap deleted", "ip link delete {tap}", f"{_device('{tap}')}; {_PORTS}"
    ),
    Act("tap down", "ip link set {tap} down", _device("{tap}")),
    Act("tap off the bridge", "ip link set {tap} nomaster", _device("{tap}")),
)
BRIDGES = (
    Act("bridge deleted", f"ip link delete {BRIDGE}", _BRIDGE),
    Act("bridge down", f"ip link set {BRIDGE} down", _BRIDGE),
    Act("bridge's address removed", f"ip address flush dev {BRIDGE}", _BRIDGE),
    Act("bridge's MTU changed", f"ip link set {BRIDGE} mtu 1300", _BRIDGE),
)
UPLINKS = (
    Act("uplink down", "ip link set eth1 down", _UPLINK),
    Act("uplink off the bridge", "ip link set eth1 nomaster", _UPLINK),
    Act("uplink renamed", "ip link set eth1 down name lan0", _UPLINK),
)
SETTINGS = tuple(
    Act(f"{name} off", f"sysctl -qw {key}=0", _SETTINGS)
    for name, key in (
        ("ip_forward", "net.ipv4.ip_forward"),
        ("forwarding of the bridge", f"net.ipv4.conf.{BRIDGE}.forwarding"),
        ("bridge-nf-call-iptables", "net.bridge.bridge-nf-call-iptables"),
    )
)
SERVERS = (
    Act("dnsmasq killed", "kill -KILL $(cat {stem}.pid)", _SERVER),
    Act("dnsmasq stopped", "kill -STOP $(cat {stem}.pid)", _SERVER),
    Act("hosts file truncated", "truncate -s 0 {stem}.hosts", _SERVER),
    Act("leases file removed", "rm {stem}.leases", _SERVER),
)
KINDS = (RULES, SETS, PORTS, BRIDGES, UPLINKS, SETTINGS, SERVERS)
