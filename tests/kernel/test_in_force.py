"""A step fails: only who is open by it is shut, and everybody comes back."""

import pytest
from forced import ALL, BOTH, ELSEWHERE, PORTS, applier, up

from flatnet.apply import command, host
from flatnet.apply.filter.iptables.marks import marks
from flatnet.apply.filter.iptables.tables import Chain
from flatnet.state.effects import Verb


@pytest.fixture
def apply(namespace, tmp_path):
    return applier(namespace, tmp_path)


def failing(monkeypatch, name, error, *, after=False):
    """Return a function that has a step of a pass fail, in a fork."""
    step = getattr(host, name)

    def unlucky(*arguments, **fields):
        if after:
            step(*arguments, **fields)
        raise error

    return lambda: monkeypatch.setattr(host, name, unlucky)


STEPS = ("apply_sysctls", "remove_ports", "apply_firewall", "apply_guard")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("wanted", [ALL, ELSEWHERE])
def test_an_unforeseen_error_costs_nobody_who_is_filtered(
    namespace, apply, monkeypatch, step, wanted
):
    assert apply(BOTH).failures == ()
    unlucky = failing(monkeypatch, step, ValueError("unforeseen"))
    changes = apply(wanted, unlucky)
    assert "unforeseen" in {each.message for each in changes.failures}
    # Who comes new is made once all that filters it is there.
    is_filtered = step in ("apply_sysctls", "remove_ports")
    assert up(namespace) == (PORTS if is_filtered else PORTS[:2])
    assert Verb.SHUT not in {each.verb for each in changes.made}
    assert apply(wanted).failures == ()
    assert up(namespace) == PORTS


@pytest.mark.parametrize("step", STEPS)
def test_an_error_after_the_work_costs_nobody(
    namespace, apply, monkeypatch, step
):
    unlucky = failing(monkeypatch, step, OSError("late"), after=True)
    assert apply(ALL, unlucky).failures != ()
    assert up(namespace) == PORTS


# Of the first rule of group 1, and of the jump from FORWARD.
(FIRST,) = marks(Chain("flatnet-g-1", ("-p tcp -m tcp --dport 22 -j ACCEPT",)))
(JUMP,) = marks(Chain("FORWARD", ("-j flatnet-FORWARD",)))

HOLES = {
    # Less is let in.
    "iptables -F flatnet-g-1": PORTS,
    "iptables -D flatnet-p-6 1": PORTS,
    "ipset flush flatnet-p4-6": PORTS,
    # The way to one, and what goes around it.
    "iptables -I flatnet-g-1 -j ACCEPT": (),
    "iptables -I flatnet-p-6 -j ACCEPT": (),
    "iptables -I flatnet-local -d 10.0.0.3 -j ACCEPT": (),
    "iptables -D flatnet-local 4": (),
    "iptables -D flatnet-local 5": (),
    "iptables -I flatnet-tree -j ACCEPT": (),
    "ip6tables -F flatnet-local": (),
    # They keep our comment.
    "iptables -R flatnet-g-1 1 -p tcp "
    f"-m comment --comment flatnet:{FIRST} -j ACCEPT": (),
    "iptables -R FORWARD 1 -i lo "
    f"-m comment --comment flatnet:{JUMP} -j flatnet-FORWARD": (),
    "ipset del flatnet-filtered4 10.0.0.2": PORTS[1:],
    "ipset flush flatnet-filtered6": (),
    "ipset add flatnet-p4-6 10.0.0.77": PORTS,
    "iptables -D FORWARD 1": (),
    "ip6tables -I OUTPUT -j ACCEPT": (),
    "iptables -F flatnet-FORWARD": (),
    "ipset add flatnet-g4-7 10.9.9.9": (),
    "ipset del flatnet-g4-7 10.0.0.9": PORTS,
    "nft add rule ip filter FORWARD ct state established accept": PORTS,
    "nft insert rule ip filter FORWARD ct state established accept": (),
    "nft add table ip filter { flags dormant; }": (),
    "nft add table ip6 filter { flags dormant; }": (),
    "nft add table ip nat { flags dormant; }": PORTS,
    "iptables -t nat -F": PORTS,
    "sysctl net.ipv4.ip_forward=0": PORTS,
    "sysctl net.bridge.bridge-nf-call-iptables=0": (),
    "nft flush chain bridge flatnet to_guest": (),
    "nft delete table inet flatnet": (),
    "nft insert rule bridge flatnet forward accept": (),
    f"nft delete element bridge flatnet ports {{ {PORTS[0]} }}": PORTS[1:],
    f"nft add element bridge flatnet ipv4 {{ {PORTS[1]} . 10.0.0.99 }}": (
        PORTS[::2]
    ),
    "nft delete element inet flatnet guests4 { 10.0.0.4 }": PORTS[:2],
    "nft add element bridge flatnet uplinks { eth7 }": PORTS,
}


@pytest.mark.parametrize("hole", HOLES)
def test_who_is_open_is_shut_and_nobody_else(
    namespace, apply, monkeypatch, hole
):
    assert apply(ALL).failures == ()
    namespace.run(hole)

    def nothing_works():
        for step in STEPS:
            failing(monkeypatch, step, ValueError("unforeseen"))()

    assert apply(ALL, nothing_works).failures != ()
    assert up(namespace) == tuple(sorted(HOLES[hole]))
    assert apply(ALL).failures == ()
    assert up(namespace) == PORTS


def test_iptables_may_be_away_for_a_while(namespace, apply, monkeypatch):
    """As while its package is upgraded; who comes needs none of it."""
    assert apply(BOTH).failures == ()

    def away():
        monkeypatch.setattr(command, "_PATH", "/nonexistent")

    assert apply(ALL, away).failures != ()
    assert up(namespace) == PORTS
