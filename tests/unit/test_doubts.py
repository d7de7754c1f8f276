"""A hint that came while a pass ran is judged by what that pass has known."""

import pytest

from flatnet.passes.asks import Asks
from flatnet.passes.outcome import Pass
from flatnet.state.rows import SecurityGroup
from flatnet.state.scope import NOTHING, Scope, of_hint, of_instance
from tests.builders import interface, network, settings, snapshot
from tests.planned import parts_of

GUEST = interface(1, instance_uuid="vm-1", security_group_ids=(5,))


@pytest.mark.parametrize(
    ("groups", "instances", "is_heard"),
    [
        ({5}, set(), True),
        ({6}, set(), False),
        ({6}, {"vm-1"}, True),
        ({6}, {"vm-2"}, False),
        ({5}, {"vm-2"}, True),
    ],
)
def test_who_is_known_once_it_has_ended_is_looked_at(
    groups, instances, is_heard
):
    asks, scope = Asks(1000), of_hint(groups, instances)
    begun = asks.begin(of_instance("vm-1"))
    asks.ask_if_known(groups, scope)
    assert asks.join() == NOTHING
    rows = snapshot(
        networks=(network(),),
        interfaces=(GUEST,),
        security_groups=(SecurityGroup(5, "web"),),
    )
    asks.end(begun, Pass(parts_of(rows, settings())))
    assert asks.join() == (scope if is_heard else Scope())
