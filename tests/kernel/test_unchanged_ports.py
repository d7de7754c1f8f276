"""Ports that need nothing are not gone through again; any other is."""

import contextlib
import subprocess
from dataclasses import replace

import pytest
from bridged import plan, tap, veth

from flatnet.apply.link import ports, unchanged_ports
from flatnet.apply.link.bridge import apply_bridges
from flatnet.apply.link.devices import Devices
from flatnet.apply.link.link import NO_OPENER
from flatnet.apply.link.taps import opened, set_tap
from flatnet.apply.link.unchanged_ports import UnchangedPorts
from flatnet.state.changes import Changes

TAP, OTHER = replace(tap(1), owner="nobody"), tap(2)
PAIR = veth(3)
PLAN = plan(TAP, OTHER, PAIR)
NAME = TAP.name
MEDDLING = (
    f"ip link set {NAME} alias flatnet:x",
    f"ip link set {NAME} mtu 1400",
    f"ip link set {NAME} address 02:00:00:00:00:99",
    f"ip link set {NAME} nomaster",
    f"ip link set {NAME} down",
    f"ip link set {NAME} down; ip link set {NAME} alias flatnet:x",
    f"ip link del {NAME}",
    f"ip link del {NAME}; ip tuntap add {NAME} mode tap",
    f"ip link add br7 type bridge; ip link set {NAME} master br7",
    f"sysctl -w net.ipv6.conf.{NAME}.disable_ipv6=0",
    f"bridge link set dev {NAME} locked on",
    f"bridge link set dev {NAME} bcast_flood off",
    f"ip link set {PAIR.peer} mtu 1400",
    f"ip link set {PAIR.name} mtu 1400",
    "ip link set br100 mtu 1400",
    "ip link del br100",
    "ip link set br100 down",
)


class Host:
    """Passes of one process over its host."""

    def __init__(self):
        self.devices, self.unchanged = Devices(), UnchangedPorts()
        self.close = self.devices.close

    def a_pass(self, wanted=PLAN):
        # As a whole pass does: some of it no event tells.
        self.devices.forget()
        return apply_bridges(
            wanted, self.devices, shut=frozenset(), unchanged=self.unchanged
        )

    def looked_at(self, wanted=PLAN):
        """The ports that a pass goes through."""
        names, apply_port = [], ports.apply_port

        def noted(host, bridge, port):
            names.append(port.name)
            apply_port(host, bridge, port)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(unchanged_ports, "apply_port", noted)
            assert self.a_pass(wanted) == Changes()
        return names


@contextlib.contextmanager
def host():
    """One whose ports were made, and then looked at."""
    with contextlib.closing(Host()) as made:
        assert made.a_pass().failures == ()
        assert made.looked_at() == [TAP.name, OTHER.name, PAIR.name]
        yield made


def shell(commands):
    subprocess.run(("sh", "-ec", commands), check=True, capture_output=True)


def fresh(wanted=PLAN):
    """What a pass does that knows nothing."""
    return apply_bridges(wanted, shut=frozenset(), unchanged=UnchangedPorts())


def test_what_needs_nothing_is_not_gone_through(namespace):
    def looked():
        with host() as found:
            # What is said of a pair may change with its other end.
            assert found.looked_at() == [PAIR.name]
            other = replace(OTHER, addresses=("10.0.0.9",))
            assert found.looked_at(plan(TAP, other, PAIR)) == [
                OTHER.name,
                PAIR.name,
            ]

    namespace.call(looked)


@pytest.mark.parametrize("commands", MEDDLING)
def test_what_others_do_is_seen(namespace, commands):
    def meddled():
        with host() as found:
            shell(commands)
            changes = found.a_pass()
            assert changes.made
            assert changes.failures == ()
            assert fresh() == Changes()

    namespace.call(meddled)


@pytest.mark.parametrize(
    "wanted",
    [
        plan(TAP, OTHER, PAIR, mtu=1400),
        plan(replace(TAP, owner="daemon"), OTHER, PAIR),
        plan(replace(TAP, owner=None), OTHER, PAIR),
        plan(replace(TAP, mac="fa:16:3e:00:09:09"), OTHER, PAIR),
        plan(TAP, replace(OTHER, instance_uuid=TAP.instance_uuid), PAIR),
    ],
)
def test_another_plan_is_followed(namespace, wanted):
    def followed():
        with host() as found:
            assert found.a_pass(wanted).made
            assert fresh(wanted) == Changes()
            assert found.a_pass().made
            assert fresh() == Changes()

    namespace.call(followed)


def test_a_user_with_another_id_may_open_his_taps(namespace, monkeypatch):
    def renumbered():
        with host() as found:
            monkeypatch.setattr(ports, "wanted_owner", lambda *_: (7, 7))
            (effect, *_) = found.a_pass().made
            assert (effect.key, effect.detail) == (NAME, "owner")

    namespace.call(renumbered)


def test_who_may_open_a_tap_is_put_right_once_it_is_free(namespace):
    """While somebody holds it nothing can be done, and is done later."""

    def held():
        with host() as found:
            set_tap(NAME, (7, NO_OPENER))
            with opened(NAME):
                assert found.a_pass() == Changes()
                assert NAME in found.looked_at()
            assert found.a_pass().made
            assert fresh() == Changes()

    namespace.call(held)


def test_ports_that_went_are_forgotten(namespace):
    def forgotten():
        with host() as found:
            shell(f"ip link del {NAME}")
            assert found.a_pass(plan(OTHER, PAIR)).failures == ()
            assert found.a_pass().made
            assert fresh() == Changes()

    namespace.call(forgotten)


def test_the_end_of_a_pair_that_was_renamed_comes_back(namespace):
    def renamed():
        with host() as found:
            shell(f"ip link set {PAIR.peer} name else0")
            assert found.a_pass() == Changes()
            assert found.looked_at() == []
            shell("ip link set else0 mtu 1400")
            shell(f"ip link set else0 name {PAIR.peer}")
            assert found.a_pass().made
            assert fresh() == Changes()

    namespace.call(renamed)


def test_a_spanning_tree_that_ends_leaves_ports_to_us(namespace):
    """What a bridge keeps from a port is not ours to say before."""

    def ended():
        shell("ip link add br100 up type bridge stp_state 1")
        with host() as found:
            shell(f"bridge link set dev {NAME} locked on")
            assert found.a_pass() == Changes()
            assert NAME in found.looked_at()
            shell("ip link set br100 type bridge stp_state 0")
            assert found.a_pass().made
            assert fresh() == Changes()

    namespace.call(ended)
