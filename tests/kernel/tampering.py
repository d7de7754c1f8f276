"""What others do to rules, chains, sets and the guard, and hide it.

What is there is as many as before, or looks like ours by name or comment.
Of one's own network namespace; each is as those of `meddling` are.
"""

import json
import re
import subprocess

from host_state import nftables, output, seen
from targets import a_chain, a_set, run, tried
from tree_edits import lines

# What somebody makes of a rule as iptables-save prints it.
EDITS = (
    ("-j .*", "-j ACCEPT"),
    ("-j .*", "-j RETURN"),
    ("-m set --match-set [^ ]* (src|dst) ", ""),
    ("--match-set", "! --match-set"),
    ("--dport [^ ]*", "--dport 1:9999"),
    ("-p (tcp|udp) -m (tcp|udp) --[ds]port [^ ]* ", ""),
    ("^", "-s 192.0.2.1/32 "),
    ("^", "-i lo "),
)
GUARDS = ("bridge", "inet", "arp")
BUILTINS = ("FORWARD", "OUTPUT", "INPUT")
_FAMILIES = {"iptables": "ip", "ip6tables": "ip6"}


def leave_unowned():
    """Have tables for the guard that nobody can own, as older kernels do."""
    for family in GUARDS:
        run(f"nft add table {family} flatnet")


def edit_rule(directory, chance):
    """Edit a rule of ours in place, and keep its comment."""
    command, chain = a_chain(directory, chance)
    _edit(command, chain, chance)


def edit_jump(directory, chance):
    """Edit what leads to our chains, and keep its comment."""
    _edit(
        chance.choice(("iptables", "ip6tables")),
        chance.choice(BUILTINS),
        chance,
    )


def replace_rule(directory, chance):
    """Have nft put another in the place of a rule, with its comment."""
    command, chain = a_chain(directory, chance)
    rules = zip(
        lines(command, chain),
        _by_handle(f"{_FAMILIES[command]} filter", chain),
        strict=True,
    )
    marked = [
        (match[1], handle)
        for rule, (handle, _) in rules
        if (match := re.search("--comment (flatnet:[^ ]*)", rule))
    ]
    _replace(f"{_FAMILIES[command]} filter", chain, marked, chance)


def edit_guard(directory, chance):
    """Do so with a rule of the guard."""
    family = chance.choice(GUARDS)
    chains = sorted(
        each["chain"]["name"]
        for each in nftables()
        if each.get("chain", {}).get("table") == "flatnet"
        and each["chain"]["family"] == family
    )
    if chains:
        table, chain = f"{family} flatnet", chance.choice(chains)
        marked = [
            (match[1], handle)
            for handle, line in _by_handle(table, chain)
            if (match := re.search('comment "([^"]*)"', line))
        ]
        _replace(table, chain, marked, chance)


def take_from_guard(directory, chance):
    """Take an element from a set of the guard."""
    if found := _guarded(chance):
        where, element = found
        _tell("delete", where, element)


def exchange_in_guard(directory, chance):
    """Let a port send from another address instead of its own."""
    found = _guarded(chance, ("ipv4",))
    if found is None:
        return
    where, element = found
    _tell("delete", where, element)
    port = element["concat"][0]
    other = {"concat": [port, f"10.0.0.{chance.randrange(2, 14)}"]}
    _tell("add", where, other)


def flush_guard_set(directory, chance):
    """Flush a set of the guard."""
    if found := _guarded(chance):
        where, _ = found
        tried(f"nft flush set {where['family']} flatnet {where['name']}")


def flush_guard_chain(directory, chance):
    """Flush a chain of the guard."""
    tried("nft flush chain bridge flatnet from_guest")


def rename_chain(directory, chance):
    """Give a chain of ours another name, by which all rules name it."""
    command, chain = a_chain(directory, chance)
    tried(f"{command} -E {chain} renamed-{chance.randrange(1000)}")


def rename_set(directory, chance):
    """Give a set another name, which needs rules to be away."""
    name, _ = a_set(directory, chance)
    for command in _FAMILIES:
        run(f"{command} -F")
    tried(f"ipset rename {name} renamed-{chance.randrange(1000)}")


def swap_sets(directory, chance):
    """Exchange two sets of ours, under the rules that name them."""
    alike = {}
    for name, kind in sorted(_kinds().items()):
        alike.setdefault(kind, []).append(name)
    found = [names for names in alike.values() if len(names) > 1]
    if found:
        one, other = chance.sample(chance.choice(found), 2)
        tried(f"ipset swap {one} {other}")


def swap_with_theirs(directory, chance):
    """Put a set of somebody's own in the place of one of ours."""
    name, _ = a_set(directory, chance)
    if not name:
        return
    other = f"swapped-{chance.randrange(1000)}"
    tried(f"ipset create {other} {_kinds()[name]}")
    tried(f"ipset swap {name} {other}")


def exchange_member(directory, chance):
    """Take a member and put another, so that there are as many."""
    name, members = a_set(directory, chance)
    if not members:
        return
    taken = chance.choice(members)
    six = ":" in taken
    possible = [
        f"2001:db8::{number:x}" if six else f"10.0.0.{number}"
        for number in range(2, 14)
    ]
    run(f"ipset del {name} {taken}")
    tried(f"ipset add {name} {chance.choice(possible)}")
    now = len(seen(directory).ours["sets"][name])
    if now < len(members):
        # It was there already.
        tried(f"ipset add {name} {'2001:db8::77' if six else '10.0.0.77'}")


def give_up_renamed():
    """Delete what others took from us by names of their own.

    While it is there, so is what it needs of ours, emptied.
    """
    for command in _FAMILIES:
        saved = output(f"{command}-save", "-t", "filter")
        chains = re.findall(r"^:(renamed-\S+)", saved, re.MULTILINE)
        for chain in chains:
            run(f"{command} -F {chain}")
        for chain in chains:
            run(f"{command} -X {chain}")
    for name in output("ipset", "list", "-n").split():
        if name.startswith(("renamed-", "swapped-")):
            run(f"ipset destroy {name}")


def _edit(command, chain, chance):
    """Edit some rule of a chain in a way that its words allow."""
    possible = [
        (number, edited)
        for number, rule in enumerate(lines(command, chain), 1)
        if "flatnet:" in rule
        for pattern, other in EDITS
        if (edited := re.sub(pattern, other, rule, count=1)) != rule
    ]
    if possible:
        number, edited = chance.choice(possible)
        tried(f"{command} -R {chain} {number} {edited}")


def _by_handle(table, chain):
    """The rules of a chain as nft prints them, each after its handle."""
    try:
        text = output("nft", "-a", "list", "chain", *table.split(), chain)
    except AssertionError:
        # Nobody made it.
        return []
    found = [line.rpartition("# handle ") for line in text.splitlines()]
    return [
        (handle, line)
        for line, is_there, handle in found
        if is_there and not line.rstrip().endswith("{")
    ]


def _replace(table, chain, marked, chance):
    """Have nft replace some rule of these, marks with their handles."""
    if marked:
        mark, handle = chance.choice(marked)
        verdict = chance.choice(("accept", "counter drop", "counter"))
        tried(
            f"nft replace rule {table} {chain} handle {handle} "
            f'{verdict} comment "{mark}"'
        )


def _guarded(chance, names=None):
    """A set of the guard that stands for the plan, and an element of it."""
    possible = [
        ({"family": found["family"], "name": found["name"]}, element)
        for each in nftables()
        if (found := each.get("set", each.get("map")))
        and found["table"] == "flatnet"
        and "timeout" not in found.get("flags", ())
        and found["name"] in (names or (found["name"],))
        for element in found.get("elem", ())
    ]
    return chance.choice(possible) if possible else None


def _tell(verb, where, element):
    """Have nft do something with an element, which it may refuse."""
    told = {**where, "table": "flatnet", "elem": [element]}
    subprocess.run(
        ("nft", "-j", "-f", "-"),
        input=json.dumps({"nftables": [{verb: {"element": told}}]}),
        text=True,
        capture_output=True,
        check=False,
    )


def _kinds():
    """How each set of ours was created, by name."""
    found = {}
    for line in output("ipset", "save").splitlines():
        verb, name, kind = line.split(maxsplit=2)
        if verb == "create" and name.startswith("flatnet-"):
            found[name] = kind.partition(" initval")[0]
    return found


SEEN = (
    *(edit_rule, edit_jump, replace_rule, rename_chain, rename_set),
    *(swap_sets, swap_with_theirs, exchange_member),
)
# Of the guard where nobody owns it.
OF_GUARD = (
    *(edit_guard, take_from_guard, exchange_in_guard, flush_guard_set),
    flush_guard_chain,
)
