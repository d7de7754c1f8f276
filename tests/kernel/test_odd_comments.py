"""Comments of others that are no text, or of several lines.

iptables-save prints them as they are.  They are left alone, and what is ours
is read past them.
"""

import subprocess

import pytest
from rules import EMPTY, applied, planned

ODD = {
    "no UTF-8": b"\xff \xe9",
    "several lines": b"let:\n* in\n:FORWARD ACCEPT [0:0]\n:\n*nat\nand",
    "ends of lines": "a\rb\x0b\x85\u2028c".encode(),
}


def bytes_of(namespace, *command):
    argv = namespace.argv(*command)
    return subprocess.run(argv, check=True, capture_output=True).stdout


def commented(chain, comment):
    """The command that puts a rule of others into this chain."""
    match = ("-s", "192.0.2.7", "-m", "comment", "--comment", comment)
    return ("iptables", "-I", chain, *match, "-j", "ACCEPT")


@pytest.mark.parametrize("comment", ODD.values(), ids=ODD)
def test_a_foreign_comment_stays_and_harms_nobody(namespace, backend, comment):
    assert backend.exists()
    for chain in ("FORWARD", "INPUT"):
        bytes_of(namespace, *commented(chain, comment))
    text = b'--comment "' + comment + b'" -j ACCEPT\n'
    for plan in (planned(1, 2), planned(1)):
        assert applied(namespace, plan, bottom_regex="192.0.2.7")
        assert applied(namespace, plan, bottom_regex="192.0.2.7") == ()
        assert bytes_of(namespace, "iptables-save").count(text) == 2
    applied(namespace, EMPTY)
    left = bytes_of(namespace, "iptables-save")
    assert left.count(text) == 2
    assert b"flatnet" not in left


@pytest.mark.parametrize("comment", ODD.values(), ids=ODD)
def test_such_a_rule_in_a_chain_of_ours_goes(namespace, backend, comment):
    assert backend.exists()
    plan = planned(1)
    applied(namespace, plan)
    before = bytes_of(namespace, "iptables", "-S")
    for chain in ("flatnet-FORWARD", "flatnet-g-1"):
        bytes_of(namespace, *commented(chain, comment))
    assert applied(namespace, plan)
    assert bytes_of(namespace, "iptables", "-S") == before
    assert applied(namespace, plan) == ()
