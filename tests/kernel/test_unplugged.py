"""A port that a caller has unplugged, on a real kernel."""

from dataclasses import replace

from bridged import apply, plan, reach, tap, veth
from test_found_ports import of_port, within
from test_used_ports import KNOWN, hears, hold, is_up
from test_watch import OPTIONS, PORT, ROWS

from flatnet.state.effects import Effect, Surface, Verb
from tests.planned import host_plan, parted

__all__ = ("within",)


def test_what_is_unplugged_goes_or_is_down_until_it_is_plugged(namespace):
    """A hypervisor keeps what it holds, and has it back as it was."""
    reach(namespace, plan(tap(1), tap(2), veth(3), KNOWN))
    process = hold(namespace, tap(1))
    unplugged = [
        replace(port, stays="unplugged", addresses=())
        for port in (tap(1), tap(2), veth(3))
    ]
    changes = apply(namespace, plan(*unplugged, KNOWN))
    assert set(changes.made) == {
        Effect(Surface.PORT, Verb.SHUT, tap(1).name),
        Effect(Surface.PORT, Verb.REMOVED, tap(2).name),
        Effect(Surface.PORT, Verb.REMOVED, veth(3).name),
    }
    assert not is_up(namespace, tap(1))
    again = apply(namespace, plan(*unplugged, KNOWN))
    assert (again.made, again.warnings, again.failures) == ((), (), ())
    # Who puts it up is undone.
    namespace.run(f"ip link set {tap(1).name} up")
    again = apply(namespace, plan(*unplugged, KNOWN))
    assert again.made == (Effect(Surface.PORT, Verb.SHUT, tap(1).name),)
    reach(namespace, plan(tap(1), tap(2), veth(3), KNOWN))
    assert hears(namespace, process, tap(1))


def test_what_is_unplugged_is_told_as_that(within):
    rows = replace(
        ROWS,
        interfaces=tuple(
            replace(each, is_plugged=False) for each in ROWS.interfaces
        ),
    )
    parts = [
        parted(host_plan(each, OPTIONS)) for each in (ROWS, rows, rows, ROWS)
    ]

    def passes(serving):
        up, shut, again, back = (serving.apply(each) for each in parts)
        assert again.made == ()
        assert of_port(back.ports) == of_port(up.ports)
        assert Effect(Surface.PORT, Verb.REMOVED, PORT) in shut.made
        assert (shut.failures, shut.warnings) == ((), ())
        found = of_port(shut.ports)
        assert (found.found, found.carrier) == ("shut", False)
        assert "plug_vifs" in found.reason

    within(passes)
