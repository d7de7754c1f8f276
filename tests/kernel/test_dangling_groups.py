"""A membership whose group's row is gone lets nothing in, by packets."""

import pytest
from filtered import plan, rule
from segment import guest, segment
from test_isolation import NAMES, NOTHING, SAME_NET, reached

WEB = (rule(1, "tcp", 22, 22),)


@pytest.fixture(scope="module")
def net():
    with segment() as built:
        yield built


@pytest.mark.parametrize(
    ("same_net", "passing"),
    [
        (True, {**SAME_NET, "outside": set()}),
        (False, {**NOTHING, "host": set()}),
    ],
)
def test_a_dangling_group_id_keeps_a_guest_closed(net, same_net, passing):
    guests = (guest(1, security_group_ids=(7,)), guest(2))
    plan(net, guests, WEB, allow_same_net_traffic=same_net)
    assert reached(net) == passing


@pytest.mark.parametrize("same_net", [True, False])
def test_beside_it_the_groups_that_exist_count(net, same_net):
    guests = (guest(1, security_group_ids=(1, 7)), guest(2))
    plan(net, guests, WEB, allow_same_net_traffic=same_net)
    named = {"tcp 22"}
    near = SAME_NET if same_net else dict.fromkeys(NAMES, named)
    assert reached(net) == {**near, "outside": named}
