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
from host_state import output, seen


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


def run(command):
    """Run a command, which has to succeed."""
    output(*command.split())


def tried(command):
    """Run a command that need not succeed."""
    with contextlib.suppress(AssertionError):
        run(command)


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
    command, chain = _chain(directory, chance)
    tried(f"{command} -F {chain}")


def delete_rule(directory, chance):
    command, chain = _chain(directory, chance)
    tried(f"{command} -D {chain} 1")


def let_all_in(directory, chance):
    command, chain = _chain(directory, chance)
    tried(f"{command} -I {chain} -j ACCEPT")


def leave_out_jump(directory, chance):
    builtin = chance.choice(("FORWARD", "OUTPUT", "INPUT"))
    tried(f"iptables -D {builtin} -j flatnet-{builtin}")


def stand_above(directory, chance):
    tried("iptables -I FORWARD -s 192.0.2.88 -j DROP")


def flush_guard(directory, chance):
    tried("nft flush ruleset")


def flush_guard_chain(directory, chance):
    tried("nft flush chain bridge flatnet from_guest")


def take_member(directory, chance):
    name, members = _set(directory, chance)
    if members:
        tried(f"ipset del {name} {chance.choice(members)}")


def add_member(directory, chance):
    name, _ = _set(directory, chance)
    if name:
        tried(f"ipset add {name} 10.0.0.{chance.randrange(2, 14)}")


def exchange_member(directory, chance):
    name, members = _set(directory, chance)
    if members:
        tried(f"ipset del {name} {chance.choice(members)}")
        tried(f"ipset add {name} 10.0.0.{chance.randrange(2, 14)}")


def flush_set(directory, chance):
    name, _ = _set(directory, chance)
    tried(f"ipset flush {name}")


def delete_port(directory, chance):
    _with_port(directory, chance, "ip link delete {}")


def port_down(directory, chance):
    _with_port(directory, chance, "ip link set {} down")


def port_off(directory, chance):
    _with_port(directory, chance, "ip link set {} nomaster")


def port_mtu(directory, chance):
    _with_port(directory, chance, "ip link set {} mtu 1300")


def port_mac(directory, chance):
    _with_port(directory, chance, "ip link set {} address 02:00:00:00:00:77")


def port_renamed(directory, chance):
    _with_port(directory, chance, "ip link set {} down name renamed0")


def port_ipv6(directory, chance):
    _with_port(directory, chance, "sysctl -qw net.ipv6.conf.{}.disable_ipv6=0")


def bridge_down(directory, chance):
    tried("ip link set br100 down")


def bridge_gone(directory, chance):
    tried("ip link delete br100")


def bridge_options(directory, chance):
    tried("ip link set br100 type bridge nf_call_iptables 0 stp_state 1")


def address_off(directory, chance):
    tried("ip -4 address flush dev br101")


def uplink_down(directory, chance):
    tried(f"ip link set {chance.choice(UPLINKS)} down")


def uplink_off(directory, chance):
    tried(f"ip link set {chance.choice(UPLINKS)} nomaster")


def truncate_file(directory, chance):
    files = sorted(Path(directory).glob("flatnet-*.hosts"))
    if files:
        chance.choice(files).write_text("")


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
        )
    )
    tried(f"sysctl -qw {name}=0")


def _chain(directory, chance):
    """A command and a chain of ours in the table that it is about."""
    command = chance.choice(("iptables", "ip6tables"))
    found = [
        name.split()[1]
        for name in seen(directory).ours[command]
        if name.startswith("*filter flatnet-")
    ]
    return command, chance.choice(sorted(found) or ["flatnet-local"])


def _set(directory, chance):
    sets = seen(directory).ours["sets"]
    return chance.choice(sorted(sets.items()) or [("", [])])


def _with_port(directory, chance, command):
    links = seen(directory).ours["links"]
    ports = sorted(name for name in links if name.startswith("tap"))
    if ports:
        tried(command.format(chance.choice(ports)))


def _signal_server(directory, chance, number):
    """Of those that run here, which are in pid files of this host's own."""
    for path in sorted(Path(directory).glob("flatnet-*.pid")):
        with contextlib.suppress(ProcessLookupError, ValueError):
            os.kill(int(path.read_text()), number)
            return


# What is seen by itself; of the others a whole pass knows.
SEEN = (
    *(flush_rules, flush_chain, delete_rule, let_all_in, leave_out_jump),
    *(stand_above, flush_guard, flush_guard_chain, take_member, add_member),
    *(flush_set, delete_port, port_down, port_off, port_mtu, port_mac),
    *(port_ipv6, port_renamed, bridge_down, bridge_gone, bridge_options),
    address_off,
    *(uplink_down, uplink_off, kill_server, stop_server, unset, more),
)
UNSEEN = (exchange_member, truncate_file)
