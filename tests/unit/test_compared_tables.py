"""What was compared once is not compared again, and nothing else."""

from dataclasses import replace

from flatnet.apply.filter.iptables.compared_tables import ComparedTables
from flatnet.apply.filter.iptables.iptables import Existing, edits
from flatnet.apply.filter.iptables.marks import lines, marks
from flatnet.apply.filter.iptables.placement import Placement, placement
from flatnet.apply.filter.iptables.saved import Saved
from flatnet.apply.filter.iptables.tables import Chain, Jump, Table
from flatnet.apply.filter.iptables.written_tables import presumed

EXISTING, PLACE = Existing(chains={"flatnet-local": []}), Placement()
TABLE = Table(4, "filter", (Chain("flatnet-local", ("-j DROP",)),))


def test_only_the_very_same_comparison_is_settled():
    settled = ComparedTables()
    assert not settled.has((EXISTING, TABLE, PLACE))
    settled.note((EXISTING, TABLE, PLACE))
    assert settled.has((EXISTING, TABLE, placement("", "")))
    assert not settled.has((EXISTING, TABLE, placement("^-i lo", "")))
    read_again = Existing(chains={"flatnet-local": []})
    assert not settled.has((read_again, TABLE, PLACE))
    planned_again = Table(4, "filter", TABLE.chains)
    assert not settled.has((EXISTING, planned_again, PLACE))


def test_the_last_comparison_of_a_table_is_the_one_that_counts():
    settled = ComparedTables()
    other = Table(6, "filter", TABLE.chains)
    settled.note((EXISTING, TABLE, PLACE))
    settled.note((EXISTING, other, PLACE))
    assert settled.has((EXISTING, TABLE, PLACE))
    settled.note((Existing(), TABLE, PLACE))
    assert not settled.has((EXISTING, TABLE, PLACE))


CHAINS = tuple(Chain(f"flatnet-g-{n}", ("-j ACCEPT",), n) for n in range(6))
OF_GROUPS = Table(4, "filter", CHAINS, (Jump("FORWARD", "flatnet-g-0"),))


def applied(table, **others):
    """What there is of a table that is as planned, but for other texts."""
    texts = {each.name: list(lines(each)) for each in table.chains}
    return Existing(
        chains={each.name: marks(each) for each in table.chains},
        texts={**texts, **others},
        builtins={"FORWARD": ["-j REJECT"]},
    )


def test_chains_that_are_planned_as_they_were_are_settled():
    settled, there = ComparedTables(), applied(OF_GROUPS)
    settled.note((there, OF_GROUPS, PLACE))
    other = replace(CHAINS[3], rules=("-j DROP",))
    new = Chain("flatnet-g-9", ("-j ACCEPT",), 9)
    # The first one goes, one is another, one is said anew, and one comes.
    again = replace(CHAINS[4])
    now = (*CHAINS[1:3], other, again, CHAINS[5], new)
    table = replace(OF_GROUPS, chains=now)
    existing, rest = settled.rest((there, table, PLACE))
    assert rest == replace(table, chains=(other, again, new))
    names = {"flatnet-g-0", "flatnet-g-3", "flatnet-g-4"}
    assert existing.chains.keys() == existing.texts.keys() == names
    assert existing.builtins == there.builtins
    made = edits(existing, rest, PLACE)
    assert made.text
    assert made == edits(there, table, PLACE)


def test_nothing_is_settled_of_what_was_read_again():
    settled, there = ComparedTables(), applied(OF_GROUPS)
    settled.note((there, OF_GROUPS, PLACE))
    edited = applied(OF_GROUPS, **{"flatnet-g-2": ["-j DROP"]})
    table = replace(OF_GROUPS, chains=CHAINS[:5])
    assert settled.rest((edited, table, PLACE)) == (edited, table)
    other = replace(table, family=6)
    assert settled.rest((there, other, PLACE)) == (there, other)


def test_what_was_read_again_since_is_presumed_of_nothing():
    there, table = applied(OF_GROUPS), replace(OF_GROUPS, chains=CHAINS[:5])
    table = replace(table, jumps=())
    there = replace(there, builtins={})
    saved, rest = Saved({"filter": there}), (there, table)
    made = edits(there, table, PLACE)
    after = presumed(saved, there, rest, made)
    assert after is not None
    assert after.tables == {"filter": replace(applied(table), builtins={})}
    again = replace(there)
    assert presumed(Saved({"filter": again}), there, rest, made) is None
