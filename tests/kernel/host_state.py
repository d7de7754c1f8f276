"""A host as it is: what is ours, to be compared, and what is others'.

Of one's own network namespace.  What differs between two hosts that are as
they should be is left out: counters, handles, pids, and what packets made.
"""

import contextlib
import json
import os
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from flatnet.apply.link.link import MARK

SYSCTLS = (
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
    "net.ipv4.ip_forward",
)
# Tables of iptables-nft are seen by iptables-save.
OURS_IN_NFT = ("flatnet", "filter", "nat", "mangle", "raw")
OPTIONS = (
    *("forward_delay", "stp_state", "group_fwd_mask", "nf_call_iptables"),
    *("nf_call_ip6tables", "no_linklocal_learn", "type", "user", "group"),
)


def output(*command):
    """What a command prints, which has to succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


@dataclass(frozen=True)
class State:
    """What the kernel showed at one time; `directory` has our files."""

    directory: str
    four: str
    six: str
    sets: str
    nft: tuple
    links: tuple
    flows: str

    @cached_property
    def ours(self):
        """What flatnet made, by name."""
        return {
            "iptables": _rules(self.four),
            "ip6tables": _rules(self.six),
            "sets": {
                name: members
                for name, members in _sets(self.sets).items()
                if name.startswith("flatnet-")
            },
            "guard": _guard(self.nft),
            "links": {
                link["ifname"]: _link(link)
                for link in self.links
                if link.get("ifalias", "").startswith(MARK)
            },
            "uplinks": {
                link["ifname"]: (link["master"], "UP" in link["flags"])
                for link in self.links
                if link["ifname"].startswith("eth") and "master" in link
            },
            "addresses": _addresses(self.links),
            "sysctls": {name: _sysctl(name) for name in SYSCTLS},
            "files": _files(self.directory),
            "servers": _servers(self.directory),
        }

    @cached_property
    def theirs(self):
        """What others made, by name."""
        names = [
            link["ifname"]
            for link in self.links
            if link["ifname"].startswith("their")
        ]
        return {
            "iptables": _others_rules(self.four),
            "ip6tables": _others_rules(self.six),
            "sets": {
                name: members
                for name, members in _sets(self.sets).items()
                if not name.startswith("flatnet-")
            },
            "nft": [e for e in self.nft if _table(e) not in OURS_IN_NFT],
            "links": [e for e in self.links if e["ifname"] in names],
            "sysctls": [
                _sysctl(f"net.ipv4.conf.{name}.rp_filter")
                for name in (*names, "lo")
            ],
            "files": {
                path.name: path.read_text()
                for path in Path(self.directory).glob("theirs*")
            },
        }

    @cached_property
    def senders(self):
        """The pairs of a port and an address that it may send from."""
        return {
            tuple(pair["concat"])
            for each in self.nft
            if _table(each) == "flatnet"
            and each.get("set", {}).get("name") in ("ipv4", "ipv6")
            for pair in each["set"].get("elem", ())
        }


def nftables():
    """What there is of nftables, but for tables whose owner has ended.

    For nft 1.0.6 prints no JSON of these, nor of any after them.
    """
    found = []
    for line in output("nft", "list", "tables").splitlines():
        _, family, name = line.split()
        text = output("nft", "-j", "list", "table", family, name)
        with contextlib.suppress(json.JSONDecodeError):
            found += json.loads(text)["nftables"]
    return tuple(each for each in found if "metainfo" not in each)


def seen(directory):
    """Look at all of it."""
    return State(
        directory,
        output("iptables-save"),
        output("ip6tables-save"),
        output("ipset", "save"),
        nftables(),
        tuple(json.loads(output("ip", "-d", "-j", "address", "show"))),
        output("conntrack", "-L") + output("conntrack", "-L", "-f", "ipv6"),
    )


def differences(one, other):
    """What is not the same of two hosts, as text."""
    return "\n".join(_differences("", one, other))


def _differences(name, one, other):
    if one == other:
        return
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            mine = one.get(key), other.get(key)
            yield from _differences(f"{name} {key}", *mine)
    elif isinstance(one, list) and isinstance(other, list):
        yield f"{name}: only one has {[e for e in one if e not in other]}"
        yield f"{name}: only the other {[e for e in other if e not in one]}"
    else:
        yield f"{name}: {one!r} and {other!r}"


def _by_table(saved):
    """The rules that iptables-save prints, and chains without counters."""
    found, mine = {}, []
    for line in saved.splitlines():
        if line.startswith("*"):
            mine = found.setdefault(line, [])
        elif line.startswith(":") and line.split()[1] == "-":
            mine.append(f"-N {line.split()[0][1:]}")
        elif line.startswith("-A"):
            mine.append(line)
    return found


def _is_of_ours(line):
    """Whether it is of a chain of ours, or a rule of ours in the kernel's.

    A chain of another name is somebody's own, wherever it leads.
    """
    words = line.split()
    chain, last = words[1], words[-1]
    is_marked = '"flatnet:' in line or last.startswith("flatnet-")
    return chain.startswith("flatnet-") or (chain.isupper() and is_marked)


def _rules(saved):
    """Our chains, those of the same name in order, and what leads there."""
    found = {}
    for table, lines in _by_table(saved).items():
        for line in filter(_is_of_ours, lines):
            rules = found.setdefault(f"{table} {line.split()[1]}", [])
            if line.startswith("-A"):
                rules.append(line)
    return found


def _others_rules(saved):
    found = {
        table: [line for line in lines if not _is_of_ours(line)]
        for table, lines in _by_table(saved).items()
    }
    return {table: lines for table, lines in found.items() if lines}


def _sets(saved):
    found = {}
    for line in saved.splitlines():
        verb, name, rest, *_ = line.split()
        if verb == "create":
            found[name] = []
        else:
            found[name].append(rest)
    return {name: sorted(members) for name, members in found.items()}


def _table(each):
    """The name of the table that something of nftables is in."""
    ((kind, value),) = each.items()
    return value.get("name") if kind == "table" else value.get("table")


def _guard(listed):
    """The tables of the guard, but for what packets made."""
    rules, others = {}, []
    for each in listed:
        ((kind, value),) = each.items()
        if _table(each) != "flatnet":
            continue
        value = {k: v for k, v in value.items() if k != "handle"}
        if kind == "rule":
            chain = f"{value['family']} {value['chain']}"
            rules.setdefault(chain, []).append(json.dumps(value))
            continue
        if kind == "table":
            # One that an older kernel left has no owner.
            value.pop("flags", None)
        elements = value.pop("elem", ())
        # What has an end is of packets and connections, and who was met.
        kept = "timeout" not in value.get("flags", ())
        if kept and not value.get("name", "").startswith(("met", "missed")):
            value["elem"] = sorted(map(json.dumps, elements))
        others.append(json.dumps({kind: value}, sort_keys=True))
    return {"rules": rules, "others": sorted(others)}


def _link(link):
    info = link.get("linkinfo", {})
    options = info.get("info_data", {})
    name = link["ifname"]
    return {
        "alias": link["ifalias"],
        "kind": info.get("info_kind"),
        "mac": link["address"],
        "mtu": link["mtu"],
        "master": link.get("master"),
        "is up": "UP" in link["flags"],
        "ipv6": _sysctl(f"net.ipv6.conf.{name}.disable_ipv6"),
        "options": {k: v for k, v in options.items() if k in OPTIONS},
    }


def _addresses(links):
    """Of bridges, as far as they are from the networks of rows."""
    return sorted(
        f"{link['ifname']} {each['local']}/{each['prefixlen']}"
        for link in links
        for each in link["addr_info"]
        if link["ifname"].startswith("br") and each["local"][:3] == "10."
    )


def _sysctl(name):
    path = "/proc/sys/" + name.replace(".", "/")
    return Path(path).read_text().strip()


def _files(directory):
    return {
        str(path.relative_to(directory)): path.read_text()
        for path in sorted(Path(directory).rglob("*"))
        if path.suffix in (".hosts", ".names")
        or path.parent.suffix == ".elsewhere"
    }


def _servers(directory):
    """The bridges that have a DHCP server that runs."""
    return sorted(
        path.stem
        for path in Path(directory).glob("flatnet-*.pid")
        if _runs(path.read_text().strip())
    )


def _runs(pid):
    if not pid or not os.path.exists(f"/proc/{pid}"):
        return False
    stat = Path(f"/proc/{pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] not in "TZX"
