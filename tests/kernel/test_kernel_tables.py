"""Rules that others put into iptables' tables with nft.

iptables-save then shows an empty table, a part of it, or an error.
"""

import pytest
from rules import EMPTY, RULES, applied, planned

from flatnet.apply.filter.iptables import firewall
from flatnet.apply.filter.iptables.firewall import apply_firewall
from flatnet.apply.worker_cache import WorkerCache
from flatnet.state.effects import Verb
from tests.effects import chain

UNREADABLE = (
    "ct state established,related accept",
    "tcp dport 22 ct count over 20 drop",
    # For this one iptables-save ends with an error in the middle.
    "meta skuid 0 accept",
)
HOOKS = {
    "INPUT": "filter hook input priority 0",
    "FORWARD": "filter hook forward priority 0",
    "PREROUTING": "nat hook prerouting priority -100",
}
ALL = [("ip", rule) for rule in UNREADABLE] + [("ip6", UNREADABLE[0])]


def native(namespace, where, rule, verb="add"):
    """Add a rule of nft to `family table chain`, which may be missing."""
    family, table, chain = where.split()
    namespace.run(f"nft add table {family} {table}")
    hook = HOOKS[chain]
    namespace.run(
        "nft",
        f"add chain {where} {{ type {hook}; }}",
    )
    namespace.run("nft", f"{verb} rule {where} {rule}")


def listed(namespace, family="ip", table="filter"):
    return namespace.run(f"nft list table {family} {table}")


def plain(namespace, family="ip"):
    """The chains that iptables shows by themselves, without counters."""
    command = "iptables" if family == "ip" else "ip6tables"
    chains = [
        line.split()[1]
        for line in listed(namespace, family).splitlines()
        if line.startswith("\tchain flatnet-")
    ]
    return {
        chain: namespace.run(command, "-S", chain) for chain in sorted(chains)
    }


def jumps(namespace, family="ip", table="filter"):
    text = listed(namespace, family, table)
    return {
        name: text.count(f"jump flatnet-{name}\n")
        for name in ("INPUT", "FORWARD", "OUTPUT", "PREROUTING")
    }


@pytest.mark.parametrize(("family", "rule"), ALL)
def test_unreadable_is_not_empty(namespace, family, rule):
    applied(namespace, planned(1, 2))
    before = listed(namespace, family)
    chain = "INPUT" if family == "ip" else "FORWARD"
    native(namespace, f"{family} filter {chain}", rule)
    for _ in range(3):
        changes = namespace.call(apply_firewall, planned(1, 2), WorkerCache())
        assert (changes.made, changes.failures) == ((), ())
        (told,) = changes.warnings
        assert f"cannot read its table {family} filter" in told
        assert f"nft -a list table {family} filter" in told
        assert f"nft delete rule {family} filter {chain} handle " in told
        assert "\n" not in told
    after = listed(namespace, family)
    assert set(before.splitlines()) <= set(after.splitlines())
    # What the line says is what helps.
    namespace.run(told.rpartition("; ")[2])
    changes = namespace.call(apply_firewall, planned(1, 2), WorkerCache())
    assert (changes.made, changes.warnings) == ((), ())
    assert listed(namespace, family) == before


@pytest.mark.parametrize(("family", "rule"), ALL)
def test_after_a_fresh_start_all_is_in_force(namespaces, family, rule):
    with_rule, without = namespaces(), namespaces()
    chain = "INPUT" if family == "ip" else "FORWARD"
    native(with_rule, f"{family} filter {chain}", rule)
    for host in (with_rule, without):
        assert applied(host, planned(1, 2))
        assert applied(host, planned(1, 2)) == ()
    assert plain(with_rule, family) == plain(without, family)
    assert jumps(with_rule, family) == jumps(without, family)


def test_changes_are_made_and_all_can_go(namespace):
    applied(namespace, planned(1, 2))
    native(namespace, "ip filter INPUT", UNREADABLE[0])
    namespace.run("iptables -N flatnet-g-9")
    fewer = planned(2, 3, rules=RULES[:2])
    made = applied(namespace, fewer)
    assert chain(Verb.WRITTEN, "flatnet-g-1") in made
    assert chain(Verb.REMOVED, "flatnet-g-9") in made
    assert applied(namespace, fewer) == ()
    assert jumps(namespace)["INPUT"] == 1
    namespace.run("iptables -F flatnet-g-1")
    made = applied(namespace, fewer)
    assert made == (chain(Verb.WRITTEN, "flatnet-g-1"),)
    applied(namespace, EMPTY)
    assert "flatnet" not in listed(namespace)
    assert "ct state" in listed(namespace)


def test_what_is_put_above_our_jump_comes_below_it(namespace):
    applied(namespace, planned(1))
    native(namespace, "ip filter FORWARD", UNREADABLE[0], verb="insert")
    made = applied(namespace, planned(1))
    assert made == (chain(Verb.SET, "FORWARD", "the jumps to ours"),)
    text = listed(namespace).partition("chain FORWARD {")[2]
    assert text.index("jump flatnet-FORWARD") < text.index("ct state")
    assert jumps(namespace)["FORWARD"] == 1
    assert applied(namespace, planned(1)) == ()


def test_what_may_stay_above_it_stays(namespace):
    options = {"top_regex": "MINE"}
    applied(namespace, planned(1), **options)
    native(namespace, "ip filter FORWARD", UNREADABLE[0], verb="insert")
    assert applied(namespace, planned(1), **options) == ()


def test_jumps_that_are_too_many_go(namespace):
    """As an earlier version left them behind."""
    applied(namespace, planned(1))
    for line in namespace.run("iptables -S INPUT").splitlines()[1:]:
        namespace.run(*f"iptables {line}".replace('"', "").split())
    native(namespace, "ip filter INPUT", UNREADABLE[1], verb="insert")
    assert jumps(namespace)["INPUT"] == 2
    assert applied(namespace, planned(1))
    assert jumps(namespace)["INPUT"] == 1
    assert applied(namespace, planned(1)) == ()


def test_the_nat_table_likewise(namespace):
    plan = planned(1, metadata_host="192.0.2.7")
    applied(namespace, plan)
    native(namespace, "ip nat PREROUTING", "tcp dport 80 redirect to :8080")
    changes = namespace.call(apply_firewall, plan, WorkerCache())
    assert (changes.made, changes.failures) == ((), ())
    assert "table ip nat" in changes.warnings[0]
    assert jumps(namespace, table="nat")["PREROUTING"] == 1


def test_tables_that_are_not_ours_are_nobodys_business(namespace):
    native(namespace, "ip filter INPUT", UNREADABLE[0])
    changes = namespace.call(apply_firewall, EMPTY, WorkerCache())
    assert changes == firewall.Changes()
