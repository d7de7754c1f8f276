"""What was compared once is not compared again, and nothing else."""

from flatnet.apply.filter.iptables.iptables import Existing
from flatnet.apply.filter.iptables.placement import Placement, placement
from flatnet.apply.filter.iptables.settled import Settled
from flatnet.apply.filter.iptables.tables import Chain, Table

EXISTING, PLACE = Existing(chains={"flatnet-local": []}), Placement()
TABLE = Table(4, "filter", (Chain("flatnet-local", ("-j DROP",)),))


def test_only_the_very_same_comparison_is_settled():
    settled = Settled()
    assert not settled.has((EXISTING, TABLE, PLACE))
    settled.note((EXISTING, TABLE, PLACE))
    assert settled.has((EXISTING, TABLE, placement("", "")))
    assert not settled.has((EXISTING, TABLE, placement("^-i lo", "")))
    read_again = Existing(chains={"flatnet-local": []})
    assert not settled.has((read_again, TABLE, PLACE))
    planned_again = Table(4, "filter", TABLE.chains)
    assert not settled.has((EXISTING, planned_again, PLACE))


def test_the_last_comparison_of_a_table_is_the_one_that_counts():
    settled = Settled()
    other = Table(6, "filter", TABLE.chains)
    settled.note((EXISTING, TABLE, PLACE))
    settled.note((EXISTING, other, PLACE))
    assert settled.has((EXISTING, TABLE, PLACE))
    settled.note((Existing(), TABLE, PLACE))
    assert not settled.has((EXISTING, TABLE, PLACE))
