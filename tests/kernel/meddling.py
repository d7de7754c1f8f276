"""What others do to a host, to what is ours and to what is theirs.

Of one's own network namespace.  Each returns nothing, and does nothing where
there is nothing to do it to.
"""

import contextlib
import os
import random
import signal
from pathlib import Path

from cloud_rows import UPLINKS
from targets import (
    a_chain,
    a_set,
    run,
    some_ports,
    tried,
    with_port,
    with_uplink,
)


def settle_in(directory):
    """Put things of others on a fresh host."""
    for command in (
        "ip link add out0 type veth peer name far0",
        "ip address add 192.0.2.1/24 dev out0",
        "ip link set out0 up",
        "ip route add default via 192.0.2.254",
        "ip address add 2001:db8:ffff::1/64 dev out0 nodad",
        "ip -6 route add default via 2001:db8:ffff::2",
        "ip link add eth1 type veth peer name wire1",
        "ip link add eth2 type veth peer name wire2",
        "ip link set wire1 up",
        "ip link set wire2 up",
        "ip link add theirs0 type veth peer name their0",
        "ip address add 192.0.2.129/32 dev theirs0",
        "ip link set theirs0 up",
        "sysctl -qw net.ipv4.conf.theirs0.rp_filter=2",
    ):
        run(command)
    more(directory, random.Random(0))


def more(directory, chance):
    """Add things of others' own."""
    number = chance.randrange(1000)
    for command in (
        f"iptables -N THEIRS{number}",
        f"iptables -A THEIRS{number} -s 192.0.2.77 -j DROP",
        f"iptables -A FORWARD -j THEIRS{number}",
        f"iptables -I INPUT -p tcp --dport 2222 -j THEIRS{number}",
        f"iptables -t nat -A POSTROUTING -s 192.0.2.{number % 255} -j RETURN",
        f"ip6tables -I FORWARD -s 2001:db8:f::{number} -j DROP",
        f"ipset create theirs{number} hash:ip",
        f"ipset add theirs{number} 192.0.2.{number % 255}",
        f"nft add table inet theirs{number}",
        f"nft add table bridge theirs{number}",
        f"ip link add theirs{number} type veth peer name their{number}",
    ):
        tried(command)
    Path(directory, f"theirs{number}").write_text("theirs")


def flush_rules(directory, chance):
    tried(chance.choice(("iptables -F", "ip6tables -F", "iptables -F -tnat")))


def flush_chain(directory, chance):
    command, chain = a_chain(directory, chance)
    tried(f"{command} -F {chain}")


def delete_rule(directory, chance):
    command, chain = a_chain(directory, chance)
    tried(f"{command} -D {chain} 1")


def let_all_in(directory, chance):
    command, chain = a_chain(directory, chance)
    tried(f"{command} -I {chain} -j ACCEPT")


def leave_out_jump(directory, chance):
    builtin = chance.choice(("FORWARD", "OUTPUT", "INPUT"))
    tried(f"iptables -D {builtin} -j flatnet-{builtin}")


def stand_above(directory, chance):
    tried("iptables -I FORWARD -s 192.0.2.88 -j DROP")


def flush_guard(directory, chance):
    tried("nft flush ruleset")


def take_member(directory, chance):
    name, members = a_set(directory, chance)
    if members:
        tried(f"ipset del {name} {chance.choice(members)}")


def add_member(directory, chance):
    name, _ = a_set(directory, chance)
    if name:
        tried(f"ipset add {name} 10.0.0.{chance.randrange(2, 14)}")


def flush_set(directory, chance):
    name, _ = a_set(directory, chance)
    tried(f"ipset flush {name}")


def delete_port(directory, chance):
    with_port(directory, chance, "ip link delete {}")


def port_down(directory, chance):
    with_port(directory, chance, "ip link set {} down")


def port_off(directory, chance):
    with_port(directory, chance, "ip link set {} nomaster")


def port_mtu(directory, chance):
    with_port(directory, chance, "ip link set {} mtu 1300")


def port_mac(directory, chance):
    with_port(directory, chance, "ip link set {} address 02:00:00:00:00:77")


def port_renamed(directory, chance):
    down = chance.choice(("", "down"))
    number = chance.randrange(1000)
    with_port(directory, chance, f"ip link set {{}} {down} name other{number}")


def ports_exchanged(directory, chance):
    """Two ports have each other's name."""
    names = some_ports(directory, chance, 2)
    if len(names) == 2:
        one, other = names
        tried(f"ip link set {one} name between0")
        tried(f"ip link set {other} name {one}")
        tried(f"ip link set between0 name {other}")


def port_unmarked(directory, chance):
    with_port(directory, chance, "ip link set {} alias another")


def port_ipv6(directory, chance):
    with_port(directory, chance, "sysctl -qw net.ipv6.conf.{}.disable_ipv6=0")


def bridge_down(directory, chance):
    tried("ip link set br100 down")


def bridge_gone(directory, chance):
    tried("ip link delete br100")


def bridge_renamed(directory, chance):
    tried("ip link set br100 name other100")


def bridge_mtu(directory, chance):
    tried("ip link set br101 mtu 1280")


def bridge_options(directory, chance):
    tried("ip link set br100 type bridge nf_call_iptables 0 stp_state 1")


def address_off(directory, chance):
    tried("ip -4 address flush dev br101")


def uplink_down(directory, chance):
    tried(f"ip link set {chance.choice(UPLINKS)} down")


def uplink_off(directory, chance):
    tried(f"ip link set {chance.choice(UPLINKS)} nomaster")


def uplink_renamed(directory, chance):
    number = chance.randrange(1000)
    with_uplink(directory, chance, f"ip link set {{}} name wan{number}")


def truncate_file(directory, chance):
    files = sorted(Path(directory).glob("flatnet-*.hosts"))
    if files:
        chance.choice(files).write_text("")


def remove_file(directory, chance):
    files = sorted(Path(directory).glob("flatnet-*.hosts"))
    if files:
        chance.choice(files).unlink()


def move_leases(directory, chance):
    """Move or delete the file of leases, which is dnsmasq's own."""
    for path in sorted(Path(directory).glob("flatnet-*.leases")):
        if chance.random() < 0.5:
            path.unlink()
        else:
            path.rename(path.with_suffix(".away"))


def kill_server(directory, chance):
    _signal_server(directory, chance, signal.SIGKILL)


def stop_server(directory, chance):
    _signal_server(directory, chance, signal.SIGSTOP)


def unset(directory, chance):
    name = chance.choice(
        (
            "net.bridge.bridge-nf-call-iptables",
            "net.bridge.bridge-nf-call-ip6tables",
            "net.ipv4.ip_forward",
            "net.ipv4.conf.br100.forwarding",
            "net.ipv4.conf.br101.forwarding",
            "net.ipv4.conf.out0.forwarding",
            "net.ipv4.conf.all.forwarding",
        )
    )
    tried(f"sysctl -qw {name}=0")


def _signal_server(directory, chance, number):
    """Of those that run here, which are in pid files of this host's own."""
    for path in sorted(Path(directory).glob("flatnet-*.pid")):
        with contextlib.suppress(ProcessLookupError, ValueError):
            os.kill(int(path.read_text()), number)
            return


# What is seen by itself; of the others a whole pass knows.
SEEN = (
    *(flush_rules, flush_chain, delete_rule, let_all_in, leave_out_jump),
    *(stand_above, flush_guard, take_member, add_member, flush_set),
    *(delete_port, port_down, port_off, port_mtu, port_mac, port_ipv6),
    *(port_renamed, ports_exchanged, port_unmarked),
    *(bridge_down, bridge_gone, bridge_renamed, bridge_mtu, bridge_options),
    *(address_off, uplink_down, uplink_off, uplink_renamed),
    *(kill_server, stop_server, unset, more),
)
UNSEEN = (truncate_file, remove_file, move_leases)
