"""A plan that is made after another is the one that is made at once."""

import random
import weakref
from dataclasses import replace

import pytest

from flatnet.plan.kept_rows import Kept, kept
from flatnet.plan.planned import planned
from flatnet.plan.port import port_name
from flatnet.state.changes import Changes, FoundPort
from flatnet.state.rows import (
    ARRIVING,
    GONE,
    LEAVING,
    SERVING,
    Binding,
    SecurityGroup,
    SecurityRule,
    SourceMember,
)
from flatnet.state.scope import EVERYTHING, Covered, of_instance
from tests.builders import (
    NoRows,
    interface,
    network,
    reconciling,
    settings,
    snapshot,
)

STEPS = 60
SETTINGS = settings()
WHOLE = Covered(everything=True)
NETWORKS = (
    network(),
    network(id=2, uuid="22222222-2222", bridge="br200", cidr="10.0.0.0/23"),
)
HOSTNAMES = ("web", "Web", "db", "", "localhost", "mail")


def some_interface(chance, number):
    return interface(
        number,
        # Some instances have two.
        instance_uuid=f"instance-{number // 2}",
        hostname=chance.choice(HOSTNAMES),
        instance_id=chance.choice((None, number, 20 - number)),
        network_id=chance.choice((1, 2)),
        host=chance.choice(("node1", "node1", "node2")),
        security_group_ids=tuple(chance.sample(range(4), chance.randrange(3))),
    )


def some_binding(chance, each):
    return Binding(
        each.uuid,
        each.instance_uuid,
        chance.choice((SERVING, SERVING, ARRIVING, LEAVING, GONE)),
        plug=chance.choice((None, "tap", "veth")),
        found=chance.choice((None, "up")),
    )


def some_group(chance, number):
    """One of which a rule names another, or itself."""
    rule = SecurityRule(number, protocol="tcp", group_id=chance.randrange(4))
    return SecurityGroup(number, f"g{number}", (rule,))


def some_members(chance):
    families = ((), ("10.0.0.9",), ("fd00::9",), ("10.0.0.9", "fd00::9"))
    return tuple(
        SourceMember(group, f"instance-{group}", addresses)
        for group in range(4)
        if (addresses := chance.choice(families))
    )


def called_alike(interfaces, one):
    """Those of one's instance are called as it is: its row says how."""
    row = {"hostname": one.hostname, "instance_id": one.instance_id}
    mine = one.instance_uuid
    return {
        key: replace(each, **row) if each.instance_uuid == mine else each
        for key, each in interfaces.items()
    }


def another(chance, rows):
    """Rows that differ from others in some ways."""
    interfaces = {each.uuid: each for each in rows.interfaces}
    bindings = {each.interface_uuid: each for each in rows.bindings}
    for _ in range(chance.randrange(1, 3)):
        one = some_interface(chance, chance.randrange(1, 9))
        change = chance.choice(("come", "go", "bind", "unbind", "other"))
        if change == "come":
            interfaces[one.uuid] = one
        elif change == "go":
            interfaces.pop(one.uuid, None)
        elif change == "bind":
            bindings[one.uuid] = some_binding(chance, one)
        elif change == "unbind":
            bindings.pop(one.uuid, None)
        interfaces = called_alike(interfaces, one)
    networks = tuple(
        replace(each, enable_dhcp=chance.random() < 0.9) for each in NETWORKS
    )
    known = chance.sample(range(4), chance.choice((3, 4, 4)))
    return replace(
        rows,
        networks=networks if chance.random() < 0.2 else rows.networks,
        interfaces=tuple(interfaces.values()),
        bindings=tuple(bindings.values()),
        security_groups=tuple(some_group(chance, n) for n in sorted(known))
        if chance.random() < 0.3
        else rows.security_groups,
        members=some_members(chance)
        if chance.random() < 0.3
        else rows.members,
        elsewhere=tuple(each for each in interfaces if chance.random() < 0.05),
    )


@pytest.mark.parametrize("seed", range(8))
def test_a_plan_after_another_is_the_one_made_at_once(seed):
    chance = random.Random(seed)
    rows = snapshot(networks=NETWORKS)
    known = kept(Kept(), rows, WHOLE)
    plan = planned(known, SETTINGS, {})
    for _ in range(STEPS):
        rows = another(chance, rows)
        known = kept(known, rows, WHOLE)
        plan = planned(known, SETTINGS, {}, before=plan)
        fresh = kept(Kept(), rows, WHOLE)
        assert known == fresh
        at_once = planned(fresh, SETTINGS, {})
        assert plan.parts == at_once.parts
        assert [*plan.warnings()] == [*at_once.warnings()]


def test_what_is_read_again_and_equal_stays_the_same():
    """Else each whole read would leave a second host in memory."""
    first, second = (
        kept(
            Kept(),
            snapshot(
                interfaces=(interface(1), interface(2)),
                bindings=(Binding(interface(1).uuid, "vm", SERVING),),
            ),
            WHOLE,
        )
        for _ in range(2)
    )
    rows = snapshot(
        interfaces=tuple(second.interfaces.values()),
        bindings=tuple(second.bindings.values()),
    )
    again = kept(first, rows, WHOLE)
    assert again.interfaces is first.interfaces
    assert again.bindings is first.bindings
    other = replace(interface(2), hostname="other")
    changed = kept(first, snapshot(interfaces=(interface(1), other)), WHOLE)
    one, two = interface(1).uuid, interface(2).uuid
    assert changed.interfaces[one] is first.interfaces[one]
    assert changed.interfaces[two] is other
    before = planned(first, SETTINGS, {})
    after = planned(changed, SETTINGS, {}, before=before)
    assert after.parts.guests[one] is before.parts.guests[one]
    assert after.parts.guests[two] != before.parts.guests[two]


class Yes:
    """An applier that finds up whatever it is to look at."""

    def uplinks(self, names):
        return ()

    def apply(self, parts, *, renewed, looked_at):
        seen = parts.guests if looked_at is None else looked_at
        return Changes(
            ports=tuple(
                FoundPort(parts.guests[key].port.name, "up") for key in seen
            )
        )


class Rows(NoRows):
    """Interfaces, as a test has them just now."""

    def __init__(self):
        self.interfaces = ()

    def read(self, scope, before):
        here = tuple(
            each
            for each in self.interfaces
            if scope.everything or each.instance_uuid in scope.instances
        )
        rows = snapshot(networks=NETWORKS, interfaces=here)
        covered = Covered(scope.everything, scope.instances)
        return kept(before, rows, covered)


def test_of_ports_is_known_what_was_found_last():
    """Of those that nobody looked at too, and not of those that went."""
    rows = Rows()
    reconciler = reconciling(Yes(), rows=rows, options=SETTINGS)
    one, two = interface(1), interface(2, instance_uuid="vm-2")
    names = [port_name(each.uuid) for each in (one, two)]
    rows.interfaces = (one,)
    assert reconciler.run_pass().is_up(names[0])
    rows.interfaces = (one, two)
    known = reconciler.run_pass(of_instance("vm-2"))
    assert sorted(known.ports) == sorted(names)
    rows.interfaces = (two,)
    known = reconciler.run_pass(of_instance(one.instance_uuid))
    assert [*known.ports] == names[1:]


def test_only_the_last_plan_is_kept():
    """Each is of a whole host, and outcomes are kept for a while."""
    reconciler = reconciling(Yes(), options=SETTINGS)
    tickets, plans = [], []
    for _ in range(4):
        tickets.append(reconciler.ask(EVERYTHING))
        plans.append(weakref.ref(reconciler.run_pass().planned))
    assert [plan() is not None for plan in plans] == [False] * 3 + [True]
    for ticket in tickets:
        reconciler.wait(ticket, 0).check("somebody")
