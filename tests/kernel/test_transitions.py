"""Between two plans nothing passes that neither of them lets in."""

import pytest
from filtered import rule
from segment import guest, probe, segment

from flatnet.apply.filter.iptables import firewall
from flatnet.apply.filter.iptables.ipset_messages import SetSocket
from flatnet.apply.worker_cache import WorkerCache
from flatnet.state.rows import SecurityGroup
from tests.builders import settings, snapshot
from tests.planned import filter_plan, in_groups

SSH = rule(1, "tcp", 22, 22)
WEB = rule(2, "tcp", 80, 80)
DATA = rule(3, "udp", 5000, 5000)
PROBES = tuple(
    (protocol, "10.0.0.2", port)
    for protocol, port in (("tcp", 22), ("tcp", 80), ("udp", 5000))
)


@pytest.fixture(scope="module")
def net():
    with segment() as built:
        yield built


def planned(groups, members=(), **options):
    """Guest 1 is in the first of these groups, guest 2 in all others."""
    first, *others = groups
    rows = snapshot(
        interfaces=(
            guest(1, security_group_ids=(first,)),
            guest(2, security_group_ids=tuple(others)),
        ),
        security_groups=tuple(
            SecurityGroup(each, "web", tuple(groups[each]))
            for each in sorted(groups)
        ),
        members=in_groups({7: members}),
    )
    return filter_plan(rows, settings(**options))[0]


def passing(net, before, after):
    """What passes under two plans, and at any write on the way.

    Guest 3 asks guest 1, and each time anew.
    """
    options = {"allow_same_net_traffic": False}
    asking = net.guests[3].namespace
    writes = {
        (firewall, "restore"): firewall.restore,
        (SetSocket, "_asked"): SetSocket._asked,
    }

    def reached():
        net.node.run("conntrack -F", check=False)
        found = asking.call(probe, PROBES)
        return frozenset((protocol, port) for protocol, _, port in found)

    def observed():
        seen = set()

        def looking(write):
            def called(*arguments, **named):
                seen.add(reached())
                return write(*arguments, **named)

            return called

        for (place, name), write in writes.items():
            setattr(place, name, looking(write))
        wanted = planned(**after, **options)
        changes = firewall.apply_firewall(wanted, WorkerCache())
        assert changes.failures == ()
        return seen

    wanted = planned(**before, **options)
    first = net.node.call(firewall.apply_firewall, wanted, WorkerCache())
    assert first.failures == ()
    old = reached()
    on_the_way = net.node.call(observed)
    return old, on_the_way, reached()


def test_who_comes_to_a_group_meets_its_new_rules_alone(net):
    old, on_the_way, new = passing(
        net,
        {"groups": {1: [SSH], 2: [WEB, DATA]}},
        {"groups": {2: [DATA], 1: [SSH]}},
    )
    assert (old, new) == ({("tcp", 22)}, {("udp", 5000)})
    assert frozenset().union(*on_the_way) <= old | new


def test_who_comes_to_a_source_group_meets_new_rules_alone(net):
    friends = [rule(4, "tcp", 22, 22, group_id=7)]
    fewer = [rule(4, "tcp", 80, 80, group_id=7)]
    old, on_the_way, new = passing(
        net,
        {"groups": {1: friends}},
        {"groups": {1: fewer}, "members": ("10.0.0.4",)},
    )
    assert (old, new) == (frozenset(), {("tcp", 80)})
    assert frozenset().union(*on_the_way) <= old | new


def test_who_leaves_a_group_is_not_met_by_what_it_comes_to_let_in(net):
    old, on_the_way, new = passing(
        net,
        {"groups": {1: [SSH], 2: [DATA]}},
        {"groups": {2: [DATA], 1: [WEB]}},
    )
    assert (old, new) == ({("tcp", 22)}, {("udp", 5000)})
    assert frozenset().union(*on_the_way) <= old | new


def test_a_group_that_is_new_here_serves_without_a_gap(net):
    """Nothing led to its sets before, so they are there with its rules."""
    old, on_the_way, new = passing(
        net,
        {"groups": {1: [SSH], 2: [DATA]}},
        {"groups": {3: [SSH, WEB], 2: [DATA]}},
    )
    assert old < new
    assert frozenset.intersection(*on_the_way) == old
