"""What somebody makes of rules of ours, and keeps our comment."""

import subprocess

FAMILIES = {4: "iptables", 6: "ip6tables"}
# A chain, its table, and what somebody makes of a word of its first rule
# that has it.
EDITS = (
    ("flatnet-g-1", "filter", "--dport 22 ", "--dport 23 "),
    ("flatnet-g-1", "filter", "-p tcp -m tcp --dport 22 ", ""),
    ("flatnet-local", "filter", "-j DROP", "-j ACCEPT"),
    ("flatnet-tree", "filter", "-m set --match-set flatnet-p4-6 dst ", ""),
    ("FORWARD", "filter", "-m comment", "-s 192.0.2.1/32 -m comment"),
    ("flatnet-POSTROUTING", "nat", "192.0.2.1", "192.0.2.2"),
    ("PREROUTING", "nat", "-m comment", "-i lo -m comment"),
)


def output(*argv):
    return subprocess.run(
        argv, check=True, capture_output=True, text=True
    ).stdout


def edit(chain, table, word, other):
    """Edit a rule in place, its mark included."""
    prefix = f"-A {chain} "
    rules = [
        line.removeprefix(prefix)
        for line in output("iptables-save", "-t", table).splitlines()
        if line.startswith(prefix)
    ]
    number, rule = next(
        (number, rule)
        for number, rule in enumerate(rules, 1)
        if word in rule and "flatnet:" in rule
    )
    edited = rule.replace(word, other).replace('"', "")
    output("iptables", "-t", table, "-R", chain, str(number), *edited.split())
