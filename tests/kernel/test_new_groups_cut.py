"""What happens to connections when a group comes to a host that had none."""

import pytest
from connections import (
    FRIENDS,
    SAME_BRIDGE,
    SERVED,
    SSH,
    WEB,
    applied,
    both_ways,
    made,
    net,
    stalls,
)
from segment import guest

from flatnet.state.plan import Uplink
from flatnet.state.rows import SecurityGroup
from tests.builders import settings, snapshot
from tests.effects import cut
from tests.planned import host_plan, in_groups

__all__ = ("made", "net")

# Nothing allows it, so that whoever judges the guest cuts it.
FORBIDDEN = "-s 10.0.0.3 -d 10.0.0.2 -p udplite --sport 3 --dport 4"
STANDING = {SERVED: (1,), SAME_BRIDGE: (1,)}
# A group that stands in the tree before the other.
MORE = {**STANDING, 3: (8,)}


@pytest.fixture(autouse=True)
def untracked(net):
    """Nothing that another test tracked."""
    net.node.run("conntrack -F")


def apply(net, groups, *rules, members=("10.0.0.50",)):
    """Bring a host to guests of these groups; `rules` are those of group 1."""
    ids = {each for mine in groups.values() for each in mine}
    rows = snapshot(
        interfaces=tuple(
            guest(number, security_group_ids=mine)
            for number, mine in groups.items()
        ),
        security_groups=tuple(
            SecurityGroup(each, f"g{each}", rules if each == 1 else (WEB,))
            for each in sorted(ids)
        ),
        members=in_groups({7: members}),
    )
    options = settings(allow_same_net_traffic=False)
    plan = host_plan(rows, options, {"up0": Uplink("up0", 1500)})
    (made,) = net.node.call(applied, [plan])
    return made


def ssh(net, made):
    """A connection to the served guest, from another host."""
    return made.make(net.other, net.guests[SERVED], "10.0.0.2", 22)


def test_who_is_let_in_goes_on_and_nobody_is_judged(net, made):
    apply(net, STANDING, SSH)
    kept = ssh(net, made)
    net.node.run(f"conntrack -I -t 60 -u ASSURED {FORBIDDEN}")
    assert apply(net, MORE, SSH) == ()
    assert both_ways(kept)
    # It goes with the group, when the tree loses a way.
    assert apply(net, STANDING, SSH) == (cut(1),)
    assert both_ways(kept)


@pytest.mark.parametrize(
    "hole",
    [
        "iptables -I flatnet-tree -j ACCEPT",
        "iptables -R flatnet-tree 1 -m comment --comment {mark} -j ACCEPT",
        "iptables -A flatnet-tree -j ACCEPT",
        "iptables -I flatnet-p-6 -j ACCEPT",
        "iptables -A flatnet-p-6b -j ACCEPT",
        "iptables -A flatnet-p-6b86b273ff34 -j ACCEPT",
        "iptables -A flatnet-g-1 -j ACCEPT",
        "iptables -R flatnet-g-1 1 -m comment --comment {mark} -j ACCEPT",
        "iptables -I flatnet-local 6 -j ACCEPT",
    ],
)
def test_who_came_in_by_a_hole_is_cut(net, made, hole):
    apply(net, STANDING, SSH)
    kept = ssh(net, made)
    chain = hole.split()[2]
    shown = net.node.run(f"iptables -S {chain} 1")
    mark = shown.partition("--comment ")[2].partition(" ")[0].strip('"')
    net.node.run(hole.format(mark=mark))
    lost = made.make(net.other, net.guests[SERVED], "10.0.0.2", 80)
    assert both_ways(lost)
    assert apply(net, MORE, SSH) == (cut(1),)
    assert both_ways(kept)
    assert stalls(lost)


@pytest.mark.parametrize("how", ["-F flatnet-tree", "-D flatnet-tree 1"])
def test_a_tree_that_lost_ways_is_judged_too(net, made, how):
    apply(net, STANDING, SSH)
    kept = ssh(net, made)
    net.node.run(f"conntrack -I -t 60 -u ASSURED {FORBIDDEN}")
    net.node.run(f"iptables {how}")
    assert apply(net, MORE, SSH) == (cut(1),)
    assert both_ways(kept)


@pytest.mark.parametrize(
    ("before", "groups", "rules", "members"),
    [
        # A rule is revoked, and all are.
        ((SSH, WEB), MORE, (WEB,), ("10.0.0.50",)),
        ((SSH,), MORE, (), ("10.0.0.50",)),
        # A guest leaves a group where others stay, for the new one or none.
        ((SSH,), {**MORE, SERVED: (8,)}, (SSH,), ("10.0.0.50",)),
        ((SSH,), {**MORE, SERVED: ()}, (SSH,), ("10.0.0.50",)),
        # Who is let in leaves the group that the rule names.
        ((FRIENDS,), MORE, (FRIENDS,), ("10.0.0.9",)),
    ],
)
def test_who_is_let_in_no_more_is_cut(
    net, made, before, groups, rules, members
):
    apply(net, STANDING, *before)
    lost = ssh(net, made)
    assert both_ways(lost)
    assert apply(net, groups, *rules, members=members) == (cut(1),)
    assert stalls(lost)
