"""What changes with a port is what a whole guard would change."""

from hypothesis import given
from hypothesis import strategies as st

from flatnet.apply import nft_keys
from flatnet.apply.guard import guard_tables
from flatnet.apply.guard_ports import port_changes
from flatnet.apply.members import Members
from flatnet.apply.nft import Found, amended, amendment, outline
from flatnet.state import Guard, GuardedNetwork, GuardedPort

MEMBERS = Members(
    uplinks=frozenset({"eth1"}),
    serving=frozenset({"eth1"}),
    closed=frozenset({"tapforeign"}),
    macs=frozenset({"02:00:00:00:00:01"}),
    link_local=frozenset({"fe80::1"}),
)
NETWORK = GuardedNetwork(
    "br100", "10.0.0.0/16", "02:00:00:00:00:01", "10.0.0.1", serves=True
)


def port(number, *, filtered=False, second=False):
    addresses = [f"10.0.1.{number}", f"fe80::f:{number:x}"]
    if second:
        addresses.append(f"10.0.2.{number}")
    return GuardedPort(
        f"tap{number:08d}-aa",
        f"fa:16:3e:00:00:{number:02x}",
        tuple(addresses),
        f"uuid {number}",
        filtered,
    )


def ports():
    """Some of ten ports, each in one of its four shapes."""
    shapes = st.tuples(st.booleans(), st.booleans())
    chosen = st.dictionaries(st.integers(1, 10), shapes)
    return chosen.map(
        lambda found: tuple(
            port(number, filtered=filtered, second=second)
            for number, (filtered, second) in sorted(found.items())
        )
    )


def held(table):
    """A table as the kernel has it once it was written."""
    return Found(
        outline(table),
        {
            each.name: frozenset(
                nft_keys.encoded(each.key, element)
                for element in each.elements
            )
            for each in table.sets
        },
    )


def keys(changes):
    """What changes, as the kernel has it: numbers have several texts."""
    return {
        each.set: tuple(
            {nft_keys.encoded(each.key, element) for element in elements}
            for elements in (each.added, each.removed)
        )
        for each in changes
    }


@given(ports(), ports(), st.booleans(), st.booleans())
def test_parts_add_up(before, after, prevent_spoofing, isolated):
    def tables(those):
        guard = Guard(
            those,
            (NETWORK,),
            prevent_spoofing=prevent_spoofing,
            isolated=isolated,
        )
        return guard, guard_tables(guard, MEMBERS)

    guard, old = tables(before)
    _, new = tables(after)
    changes = port_changes(
        guard,
        dropped=[each for each in before if each not in after],
        put=[each for each in after if each not in before],
    )
    for was, wanted in zip(old, new, strict=True):
        mine = [each for each in changes if each.family == was.family]
        whole = amendment(wanted, held(was).elements)
        assert keys(mine) == keys(whole)
        assert amended(held(was), mine) == held(wanted)


def test_nothing_changes_with_nobody():
    assert port_changes(Guard()) == ()
    assert port_changes(Guard(), dropped=[port(1)], put=[port(1)]) == ()
