"""A port that somebody took the mark from is the guest's all the same."""

import pytest
from reconciled import host, suffers

from flatnet.plan.port import port_name
from flatnet.state.effects import Effect, Surface, Verb
from tests.builders import interface, network, settings, snapshot
from tests.waiting import eventually

OTHER, X = interface(1), interface(2)
NAME = port_name(X.uuid)


def rows(*interfaces):
    return snapshot(
        networks=(network(enable_dhcp=False),), interfaces=interfaces
    )


def link(namespace, name=NAME):
    """A device, or nothing where there is none."""
    found = namespace.json("ip", "-j", "-d", "link")
    return next((each for each in found if each["ifname"] == name), None)


def marked(alias):
    return Effect(
        Surface.PORT, Verb.SET, NAME, f"its alias, which was {alias}"
    )


def is_well(namespace, outcome):
    assert suffers(outcome, X) == ""
    found = link(namespace)
    assert found["ifalias"] == f"flatnet:{X.instance_uuid}"
    assert found["master"] == "br100"
    return outcome.is_up(NAME)


@pytest.mark.parametrize("plug", ["tap", "veth"])
@pytest.mark.parametrize("alias", ["foo", ""])
def test_it_gets_its_mark_back_at_once(namespace, tmp_path, plug, alias):
    def passes():
        options = settings(public_interface="lo", vif_plug=plug)
        with host(tmp_path, rows(OTHER, X), options) as one:
            before = link(namespace)["ifindex"]
            one.applier.look()
            namespace.run("ip", "link", "set", NAME, "alias", alias)
            one.applier.look()
            asked = one.applier.wait_for_event()
            one.reconciler.ask_about(asked.ports)
            outcome = one.passes(rows(OTHER, X), OTHER)
            assert is_well(namespace, outcome)
            assert link(namespace)["ifindex"] == before
            return asked.ports, one.applier.made

    ports, made = namespace.call(passes)
    assert ports == (NAME,)
    assert made == (marked(alias or "empty"),)


def test_a_device_made_anew_under_its_name_stays_its_makers(
    namespace, tmp_path
):
    def passes():
        options = settings(public_interface="lo")
        with host(tmp_path, rows(OTHER, X), options) as one:
            namespace.run("ip", "link", "del", NAME)
            namespace.run("ip", "tuntap", "add", NAME, "mode", "tap")
            namespace.run("ip", "link", "set", NAME, "alias", "theirs")
            told = []
            # It is down, so that no event has told of its alias.
            for _ in range(2):
                outcome = one.passes(rows(OTHER, X), X)
                told.append(suffers(outcome, X))
                assert link(namespace)["ifalias"] == "theirs"
                assert "master" not in link(namespace)
                assert not outcome.is_up(NAME)
                assert suffers(outcome, OTHER) == ""
            namespace.run("ip", "link", "del", NAME)
            assert is_well(namespace, one.passes(rows(OTHER, X), OTHER))
            return told

    for text in namespace.call(passes):
        assert "is not flatnet's" in text


def test_so_it_goes_with_its_instance(namespace, tmp_path):
    """Else it would stay on the bridge as somebody else's for ever."""

    def passes():
        options = settings(public_interface="lo")
        with host(tmp_path, rows(OTHER, X), options) as one:
            namespace.run("ip", "link", "set", NAME, "alias", "foo")
            outcome = one.passes(rows(OTHER), X)
            return outcome.changes.failures, one.applier.made

    failures, made = namespace.call(passes)
    assert failures == ()
    assert made[0] == marked("foo")
    assert Effect(Surface.PORT, Verb.REMOVED, NAME) in made
    assert link(namespace) is None


def test_so_it_does_under_another_name(namespace, tmp_path):
    """By the pass that reads it: of what is down no event tells the alias."""
    made = []

    def passes():
        options = settings(public_interface="lo")
        with host(tmp_path, rows(OTHER, X), options) as one:
            before = link(namespace)["ifindex"]
            namespace.run("ip", "link", "set", NAME, "down")
            namespace.run("ip", "link", "set", NAME, "name", "other0")
            namespace.run("ip", "link", "set", "other0", "alias", "foo")

            def is_marked():
                outcome = one.passes(rows(OTHER, X))
                made.extend(one.applier.made)
                return marked("foo") in made and is_well(namespace, outcome)

            eventually(is_marked)
            assert link(namespace)["ifindex"] == before
            return made

    assert marked("foo") in namespace.call(passes)
    assert link(namespace, "other0") is None
