"""A port that somebody renamed gets its name back, for its guest is there."""

import pytest
from bridged import apply, links, plan, reach, tap, veth
from test_used_ports import KNOWN, hears, hold

from flatnet.state.effects import Effect, Surface, Verb


def rename(namespace, port, *, up=False):
    namespace.run(f"ip link set {port.name} down")
    namespace.run(f"ip link set {port.name} name other0")
    if up:
        namespace.run("ip link set other0 up")


@pytest.mark.parametrize("others", [(), (KNOWN, tap(2))])
@pytest.mark.parametrize("up", [True, False])
def test_a_tap_that_was_renamed_is_its_guests_again(namespace, others, up):
    wanted = plan(tap(1), *others)
    reach(namespace, wanted)
    index = links(namespace)[tap(1).name]["ifindex"]
    process = hold(namespace, tap(1))
    rename(namespace, tap(1), up=up)
    changes = apply(namespace, wanted)
    assert changes.made == (
        Effect(
            *(Surface.PORT, Verb.SET, tap(1).name),
            "its name, which was other0",
        ),
        Effect(Surface.PORT, Verb.UP, tap(1).name),
    )
    reach(namespace, wanted)
    assert links(namespace)[tap(1).name]["ifindex"] == index
    assert hears(namespace, process, tap(1))
    process.kill()
    process.wait()


def test_so_is_a_pair(namespace, namespaces):
    wanted = plan(veth(1), KNOWN)
    reach(namespace, wanted)
    namespace.run(f"ip link set {veth(1).peer} netns {namespaces().name}")
    rename(namespace, veth(1))
    assert apply(namespace, wanted).failures == ()
    reach(namespace, wanted)
    found = links(namespace)
    assert {veth(1).name, "other0", veth(1).peer} & found.keys() == {
        veth(1).name
    }


def test_one_that_no_row_knows_keeps_its_name(namespace):
    reach(namespace, plan(tap(1), KNOWN))
    process = hold(namespace, tap(1))
    rename(namespace, tap(1))
    (warning,) = apply(namespace, plan(tap(2), KNOWN)).warnings
    assert warning.startswith("port other0 of instance")
    process.kill()
    process.wait()


def test_who_is_missing_is_made_where_the_other_is_nobodys(namespace):
    reach(namespace, plan(tap(1), KNOWN))
    rename(namespace, tap(1))
    namespace.run("ip link set other0 address 02:00:00:00:00:77")
    reach(namespace, plan(tap(1), KNOWN))
    assert "other0" not in links(namespace)
