"""Chains that get rules at their end."""

import re

from rules import RULES, address, applied, planned

from flatnet.apply.filter.iptables.firewall import apply_firewall
from flatnet.apply.worker_cache import WorkerCache
from flatnet.state.effects import Verb
from flatnet.state.rows import SecurityRule
from tests.effects import chain


def rule_handles(namespace):
    """The numbers of the rules of group 1 of IPv4, in order."""
    shown = namespace.run("nft -a list chain ip filter flatnet-g-1")
    return re.findall(r"# handle ([0-9]+)$", shown, re.MULTILINE)[1:]


def test_a_rule_at_the_end_touches_no_other(namespace):
    """No rule before it is written again, and nobody is judged anew."""
    last = SecurityRule(9, "tcp", 443, 443, "0.0.0.0/0")
    known = WorkerCache()
    namespace.call(apply_firewall, planned(1, 2), known)
    before = rule_handles(namespace)
    longer = planned(1, 2, rules=(*RULES, last))
    changes = namespace.call(apply_firewall, longer, known)
    assert changes.made == (chain(Verb.WRITTEN, "flatnet-g-1"),)
    assert changes.judged == frozenset()
    after = rule_handles(namespace)
    assert len(after) == len(before) + 1
    assert after[: len(before)] == before
    assert applied(namespace, longer) == ()
    shorter = planned(1, 2, rules=(last,))
    changes = namespace.call(apply_firewall, shorter, known)
    assert {address(1), address(2)} <= changes.judged
    assert len(rule_handles(namespace)) == 1


def test_rules_at_the_end_of_an_edited_chain_are_not_enough(namespace):
    known = WorkerCache()
    namespace.call(apply_firewall, planned(1, rules=RULES[:1]), known)
    namespace.run("iptables -I flatnet-g-1 -j ACCEPT")
    longer = planned(1, rules=RULES[:2])
    changes = namespace.call(apply_firewall, longer, known)
    assert address(1) in changes.judged
    assert len(rule_handles(namespace)) == 2
    assert applied(namespace, longer) == ()
