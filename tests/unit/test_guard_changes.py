"""What is written to the guard's sets, for one guard after the other."""

import random
from dataclasses import replace

import pytest

from flatnet.apply.filter.guard import nft, nft_keys, set_repairs
from flatnet.apply.filter.guard.guard import Guarding
from flatnet.apply.link.strangers import Strangers
from flatnet.state.plan import Guard, GuardedNetwork, GuardedPort

NETWORK = GuardedNetwork(
    bridge="br100",
    cidr="10.0.0.0/24",
    mac="02:00:00:00:00:01",
    address="10.0.0.1",
    cidr_v6="fd00::/64",
    serves=True,
)


def a_port(chance):
    number = chance.randrange(1, 30)
    return GuardedPort(
        name=f"tap{number:08x}-00",
        mac=f"fa:16:3e:00:00:{chance.randrange(1, 40):02x}",
        addresses=tuple(
            sorted(
                {f"10.0.0.{chance.randrange(2, 40)}"}
                | {f"fd00::{chance.randrange(2, 40):x}"}
            )
        ),
        instance_uuid=f"bbbbbbbb-bbbb-4bbb-8bbb-{number:012x}",
        filtered=chance.random() < 0.5,
        moves=chance.random() < 0.2,
    )


def some_guards(seed):
    """Guards, each somewhat another than the one before, and who is there."""
    chance = random.Random(seed)
    ports = {}
    for _ in range(50):
        for _ in range(chance.randrange(3)):
            port = a_port(chance)
            ports[port.name] = port
        for name in chance.sample(sorted(ports), len(ports) // 5):
            del ports[name]
        guard = Guard(
            ports=tuple(port for _, port in sorted(ports.items())),
            networks=(NETWORK,),
            prevent_spoofing=chance.random() < 0.8,
        )
        uplinks = chance.choice(((), ("eth0",), ("eth0", "eth1")))
        ways = frozenset((NETWORK.bridge, each) for each in uplinks)
        yield guard, Strangers(ways=ways)


class Kernel:
    """What the kernel has of tables, as it is remembered."""

    def __init__(self):
        self.held = {}

    def present(self, table):
        """A table that is ours; one with other rules is replaced before."""
        found = self.held.get(table.family)
        if found is None or not nft.matches(table, found):
            elements = {
                each.name: frozenset(
                    nft_keys.encoded(each.key, one) for one in each.elements
                )
                for each in table.sets
            }
            found = nft.FoundTable(nft.layout(table), elements)
            self.held[table.family] = found
        return found

    def write(self, guarding, tables):
        """Write what differs; return how many elements that were."""
        count = 0
        for table in tables:
            present = self.present(table)
            changes = guarding.changes(table, present)
            self.held[table.family] = set_repairs.amended(present, changes)
            guarding.settle(table, self.held[table.family])
            count += sum(len(e.added) + len(e.removed) for e in changes)
        return count

    def read_again(self, chance):
        """Forget what was remembered; somebody changed a set meanwhile."""
        for family, found in self.held.items():
            elements = {
                n: frozenset(set(e)) for n, e in found.elements.items()
            }
            name = chance.choice(["ports", "closed"])
            if elements.get(name):
                elements[name] -= {min(elements[name])}
            self.held[family] = replace(found, elements=elements)


def planned(guard, found):
    """What the sets are to hold, by (family, set)."""
    return {
        (table.family, each.name): {
            nft_keys.encoded(each.key, element) for element in each.elements
        }
        for table in Guarding().tables(guard, found)
        for each in table.sets
    }


@pytest.mark.parametrize("seed", range(30))
def test_sets_become_what_is_planned_whatever_came_before(seed):
    chance, kernel, guarding = random.Random(seed), Kernel(), Guarding()
    for guard, found in some_guards(seed):
        tables = guarding.tables(guard, found)
        if chance.random() < 0.1:
            kernel.read_again(chance)
        if chance.random() < 0.2:
            # The kernel refused, and another guard comes before this one is.
            continue
        kernel.write(guarding, tables)
        assert {
            (family, name): elements
            for family, present in kernel.held.items()
            for name, elements in present.elements.items()
        } == planned(guard, found)
        again = guarding.tables(guard, found)
        assert kernel.write(guarding, again) == 0


def test_who_comes_costs_his_own_elements():
    chance, kernel, guarding = random.Random(7), Kernel(), Guarding()
    ports = {port.name: port for port in (a_port(chance) for _ in range(99))}
    some = tuple(port for _, port in sorted(ports.items()))
    for each in (some, some[:5] + some[6:]):
        tables = guarding.tables(Guard(each, (NETWORK,)), Strangers())
        count = kernel.write(guarding, tables)
    assert 0 < count < 20
