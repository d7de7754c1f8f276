"""A node as it is: what is ours, to be compared, and what is others'."""

import contextlib
import json
import os
import re
from pathlib import Path

from flatnet.lab.spec import BRIDGE


def rules(node):
    """The rules and sets that are ours, and those that are not."""
    found = [
        f"{tool} {line}"
        for tool in ("iptables", "ip6tables")
        for line in saved(node, tool)
    ]
    guard = node.run("nft -s list ruleset").splitlines()
    theirs = node.attempt("nft -s list table inet theirs").stdout
    return (
        [line for line in found if "flatnet" in line]
        + [line.strip() for line in guard if "flatnet:" in line]
        # A set that is made again has another seed.
        + sorted(
            line.partition(" bucketsize ")[0]
            for line in node.run("ipset save").splitlines()
        ),
        [*(line for line in found if "flatnet" not in line), theirs],
    )


def saved(node, tool):
    """Rules in their order within each chain, and chains by their names."""
    table, found = "", []
    for line in node.run(f"{tool}-save").splitlines():
        words = line.partition(" [")[0].split()
        table = words[0] if line.startswith("*") else table
        if line.startswith((":", "-A")):
            chain = words[1] if line.startswith("-A") else words[0][1:]
            found.append((table, chain, " ".join(words)))
    return [" ".join(each) for each in sorted(found, key=lambda e: e[:2])]


def devices(node):
    """What is set of each device, by name; of others, all of it."""
    shown = json.loads(node.run("ip -j -d addr"))
    ours, others = {}, {}
    for link in shown:
        name = link["ifname"]
        if name in ("docker0", "veth7", "veth8", "eth0", "eth2", "lo"):
            # Those of a bridge run.
            data = link.get("linkinfo", {}).get("info_data", {})
            for key in [each for each in data if each.endswith("_timer")]:
                del data[key]
            others[name] = link
            continue
        ours[name] = (
            *(link.get(key) for key in ("mtu", "ifalias", "master")),
            link["address"] if name != "eth1" else "",
            "UP" in link["flags"],
            [a["local"] for a in link["addr_info"] if a["family"] == "inet"],
            link.get("linkinfo", {}).get("info_data", {}).get("stp_state"),
        )
    return ours, others


def settings(node, taps):
    names = [
        *("net.ipv4.ip_forward", "net.bridge.bridge-nf-call-iptables"),
        f"net.ipv4.conf.{BRIDGE}.forwarding",
        "net.ipv4.conf.eth2.forwarding",
        *(f"net.ipv6.conf.{tap}.disable_ipv6" for tap in taps),
    ]
    # That it forwards is set by who sets ip_forward, for all devices.
    others = ("rp_filter", "accept_local", "proxy_arp")
    return (
        [node.attempt(f"sysctl -n {name}").stdout for name in names],
        [
            node.attempt(f"sysctl net.ipv4.conf.docker0.{key}").stdout
            for key in others
        ],
    )


def server(node):
    """Whether a server runs that knows its guests and their leases."""
    stem = node.spec.networks_path / f"flatnet-{BRIDGE}"
    with contextlib.suppress(OSError, ValueError):
        pid = int(Path(f"{stem}.pid").read_text())
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
        opened = {os.readlink(e) for e in Path(f"/proc/{pid}/fd").iterdir()}
        return (
            state.split()[0] in "RSD",
            f"{stem}.leases" in opened,
            Path(f"{stem}.hosts").read_text(),
            Path(f"{stem}.names").read_text(),
            ":67 " in node.run("ss -Hlnu"),
        )
    return None


def routes(node):
    """Where the bridge leads, by whatever metric somebody prefers."""
    shown = node.attempt(f"ip route show dev {BRIDGE}").stdout
    return {
        re.sub(r" metric \d+", "", line).strip() for line in shown.splitlines()
    }


def ours(node, taps):
    return (
        rules(node)[0],
        devices(node)[0],
        routes(node),
        settings(node, taps)[0],
        server(node),
    )


def others(node, taps):
    return rules(node)[1], devices(node)[1], settings(node, taps)[1]
