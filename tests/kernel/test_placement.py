"""Where our jumps stand among the rules of others, by the two patterns."""

import re

import pytest
from rules import EMPTY, applied, planned

from flatnet.apply.filter.iptables.firewall import apply_firewall
from flatnet.apply.worker_cache import WorkerCache


@pytest.mark.parametrize(
    ("foreign", "expected"),
    [
        # What is to be above is so wherever it stands, and nothing else moves.
        ("other top", "other top OURS"),
        ("top other top other", "top other top OURS other"),
        ("other bottom", "OURS other bottom"),
        # Below is below, whatever comes after it.
        ("top bottom top", "top OURS bottom top"),
        ("other bottom top", "OURS other bottom top"),
        ("both top", "OURS both top"),
    ],
)
def test_the_jump_stands_by_what_the_two_patterns_name(
    namespace, foreign, expected
):
    regexes = {"top_regex": "^.*(top|both)", "bottom_regex": "bottom|both"}
    comment = "iptables -A FORWARD -m comment --comment {} -j ACCEPT"
    for each in foreign.split():
        namespace.run(comment.format(each))

    def order():
        rules = namespace.run("iptables -S FORWARD").splitlines()[1:]
        found = (
            re.search("--comment (top|other|bottom|both)", r) for r in rules
        )
        return " ".join(each[1] if each else "OURS" for each in found)

    # Also from where it was by other patterns.
    for before in ({}, {"top_regex": "."}):
        applied(namespace, planned(1), **before)
        applied(namespace, planned(1), **regexes)
        assert order() == expected
        assert applied(namespace, planned(1), **regexes) == ()
    applied(namespace, EMPTY, **regexes)
    assert order() == foreign


def test_what_stands_above_unnamed_is_told(namespace):
    for device in ("eth7", "eth8"):
        namespace.run(f"iptables -A FORWARD -i {device} -j ACCEPT")
    for _ in range(2):
        changes = namespace.call(
            apply_firewall, planned(1), WorkerCache(), top_regex="eth8"
        )
        (line,) = changes.warnings
        assert "iptables filter FORWARD: the rule '-i eth7 -j ACCEPT'" in line
        assert changes.failures == ()
    assert changes.made == ()
