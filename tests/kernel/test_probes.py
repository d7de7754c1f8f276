"""What changes without an event is seen all the same, within moments."""

import pytest
from test_watch import applier, eventually, output


@pytest.mark.parametrize(
    "damage",
    [
        "ipset flush flatnet-filtered4",
        "ipset del flatnet-filtered4 10.0.0.2",
        "ipset flush",
        "ipset add flatnet-every4 10.0.0.0/8 nomatch",
        "ipset add flatnet-filtered4 0.0.0.0/1",
    ],
)
def test_what_is_done_to_sets_is_seen_without_an_event(
    namespace, tmp_path, damage
):
    def sets():
        return sorted(output("ipset save").splitlines())

    def damaged():
        with applier(tmp_path, tmp_path / "log") as serving:
            before = sets()
            output(damage)
            assert sets() != before
            eventually(lambda: sets() == before)
            assert serving.wait_for_event()

    namespace.call(damaged)
    assert "somebody (by ipset)" in (tmp_path / "log").read_text()
