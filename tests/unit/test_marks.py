"""What the marks of a chain in the kernel tell of each rule by itself."""

import pytest

from flatnet.apply.filter.iptables.marks import marks, recognised
from flatnet.apply.filter.iptables.tables import Chain

OLD = Chain("flatnet-d", ("-j a", "-j b", "-j c"))


@pytest.mark.parametrize(
    ("found", "planned", "known"),
    [
        (marks(OLD), OLD.rules, OLD.rules),
        # Of a former plan: what it has is known, whatever comes between.
        (marks(OLD), ("-j c", "-j x", "-j a"), ("-j a", "", "-j c")),
        (marks(OLD), ("-j x",), ("", "", "")),
        # What follows a rule that somebody removed, or put there.
        ([marks(OLD)[0], marks(OLD)[2]], OLD.rules, ("-j a", "")),
        (
            [marks(OLD)[0], None, marks(OLD)[1]],
            OLD.rules,
            ("-j a", None, None),
        ),
        ([None, *marks(OLD)], OLD.rules, (None,) * 4),
        ([], OLD.rules, ()),
    ],
)
def test_a_rule_is_known_by_the_mark_before(found, planned, known):
    assert recognised(found, Chain(OLD.name, planned)) == known
