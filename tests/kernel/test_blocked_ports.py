"""What a bridge keeps from a port is seen at once and undone."""

import json

import pytest
from bridged import apply, links, plan, reach, tap, uplink
from test_mender import PLAN, found, heard, settled
from test_used_ports import hold
from test_watch import PORT, applier, output

from flatnet.apply.link.taps import opened
from flatnet.state.effects import Effect, Surface, Verb

KEPT = (
    "state 0",
    "state 1",
    "locked on",
    "bcast_flood off",
    "mcast_flood off",
    "flood off learning off",
)
UNBLOCKED = (False, True, True, True)
PASSING = "what its bridge passes"


def passes(namespace, name):
    """What a bridge does with a port, of that which cuts guests off."""
    command = f"bridge -j -d link show dev {name}"
    (port,) = json.loads(namespace.run(command))
    gets_unknown = port["flood"] or port["learning"]
    floods = port["bcast_flood"], port["mcast_flood"], gets_unknown
    return port["state"], port["locked"], *floods


@pytest.mark.parametrize("how", KEPT)
def test_a_port_gets_what_its_bridge_kept_from_it(namespace, how):
    wanted = plan(tap(1))
    reach(namespace, wanted)
    process = hold(namespace, tap(1))
    namespace.run(f"bridge link set dev {tap(1).name} {how}")
    assert passes(namespace, tap(1).name) != ("forwarding", *UNBLOCKED)
    changes = apply(namespace, wanted)
    assert changes.failures == ()
    assert changes.made == (
        Effect(Surface.PORT, Verb.SET, tap(1).name, PASSING),
    )
    assert passes(namespace, tap(1).name) == ("forwarding", *UNBLOCKED)
    reach(namespace, wanted)
    process.kill()
    process.wait()


def test_one_that_nobody_uses_yet_does_too(namespace):
    reach(namespace, plan(tap(1)))
    namespace.run(f"bridge link set dev {tap(1).name} locked on")
    changes = apply(namespace, plan(tap(1)))
    assert changes.failures == ()
    assert passes(namespace, tap(1).name) == ("disabled", *UNBLOCKED)


def test_so_does_the_uplink(namespace):
    uplink(namespace)
    wanted = plan(tap(1), uplink="eth1")
    reach(namespace, wanted)
    namespace.run("bridge link set dev eth1 state 0")
    (effect,) = apply(namespace, wanted).made
    assert effect == Effect(Surface.UPLINK, Verb.SET, "eth1", PASSING)
    assert passes(namespace, "eth1") == ("forwarding", *UNBLOCKED)


def test_what_an_admin_may_choose_stays(namespace):
    reach(namespace, plan(tap(1)))
    for choice in (
        "hairpin on",
        "isolated on",
        "flood off",
        "flood on learning off",
    ):
        namespace.run(f"bridge link set dev {tap(1).name} {choice}")
    reach(namespace, plan(tap(1)))


def test_a_spanning_tree_says_itself_who_passes(namespace):
    namespace.run("ip link add br100 type bridge stp_state 1")
    namespace.run("ip link set br100 up")
    reach(namespace, plan(tap(1)))
    process = hold(namespace, tap(1))
    state, *_ = passes(namespace, tap(1).name)
    assert state in ("listening", "learning")
    assert apply(namespace, plan(tap(1))).made == ()
    process.kill()
    process.wait()


def test_a_bridge_answers_who_asks_for_its_address(namespace):
    wanted = plan(tap(1), address="10.0.0.1/24")
    reach(namespace, wanted)
    namespace.run("ip link set br100 arp off")
    (effect,) = apply(namespace, wanted).made
    assert effect == Effect(Surface.BRIDGE, Verb.SET, "br100", "arp")
    assert "NOARP" not in links(namespace)["br100"]["flags"]
    reach(namespace, wanted)


def test_a_bridge_that_was_down_lets_its_ports_pass_itself(namespace):
    wanted = plan(tap(1), tap(2))
    reach(namespace, wanted)
    process = hold(namespace, tap(1))
    namespace.run("ip link set br100 down")
    assert passes(namespace, tap(1).name)[0] == "disabled"
    changes = apply(namespace, wanted)
    assert changes.made == (Effect(Surface.BRIDGE, Verb.UP, "br100"),)
    assert passes(namespace, tap(1).name)[0] == "forwarding"
    process.kill()
    process.wait()


@pytest.mark.parametrize("how", KEPT)
def test_the_applier_hears_of_it(namespace, tmp_path, how):
    def kept():
        with applier(tmp_path, tmp_path / "log") as serving, opened(PORT):
            settled(serving)
            assert serving.apply(PLAN, looked_at=(PORT,)).failures == ()
            heard(serving)
            output(f"bridge link set dev {PORT} {how}")
            assert serving.wait_for_event().ports == (PORT,)
            changes = serving.apply(PLAN, looked_at=(PORT,))
            assert [e.detail for e in changes.made] == [PASSING]
            assert found(changes, PORT).found == "up"

    namespace.call(kept)


def test_of_a_bridge_that_is_down_its_ports_are_not_told(namespace, tmp_path):
    def shut():
        with applier(tmp_path, tmp_path / "log") as serving, opened(PORT):
            settled(serving)
            assert serving.apply(PLAN, looked_at=(PORT,)).failures == ()
            for _ in range(2):
                heard(serving)
                output("ip link set br100 down")
                told = serving.wait_for_event()
                assert (told.everything, told.ports) == (True, ())
                changes = serving.apply(PLAN)
                assert [e.verb for e in changes.made] == [Verb.UP]
                assert serving.apply(PLAN).made == ()
                assert heard(serving).ports == ()

    namespace.call(shut)


def test_a_guest_that_comes_is_no_repair(namespace, tmp_path):
    def plugged():
        with applier(tmp_path, tmp_path / "log") as serving:
            settled(serving)
            for _ in range(2):
                with opened(PORT):
                    assert serving.wait_for_event().ports == (PORT,)
                    assert serving.apply(PLAN, looked_at=(PORT,)).made == ()
                assert serving.wait_for_event().ports == (PORT,)
                assert serving.apply(PLAN, looked_at=(PORT,)).made == ()

    namespace.call(plugged)
