"""What an interface may send and take, of its row and the option."""

import pytest

from flatnet.config.settings import Settings
from flatnet.plan.port import port_rate
from flatnet.state.rows import RATES, Interface


@pytest.mark.parametrize(
    ("option", "factor", "own", "rate"),
    [
        (0, None, None, 0),
        (0, 4.0, None, 0),
        (10_000_000, None, None, 10_000_000),
        (10_000_000, 0.5, None, 5_000_000),
        (10_000_000, 0.5, 0, 0),
        (0, 0.5, 3_000_000, 3_000_000),
        (10_000_000, 2.0, 3_000_000, 3_000_000),
        # What nobody could count is the nearest that can be.
        (64_000, 0.001, None, 64_000),
        (RATES[-1], 3.0, None, RATES[-1]),
    ],
)
def test_what_was_given_counts_before_the_option(option, factor, own, rate):
    row = Interface(
        "u", "fa:16:3e:00:00:01", 1, "i", rxtx_factor=factor, port_rate=own
    )
    assert port_rate(row, Settings("node1", port_rate=option)) == rate
