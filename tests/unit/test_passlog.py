"""What a pass says in the log."""

import logging

from flatnet.passes import passlog
from flatnet.passes.outcome import Pass
from flatnet.state.changes import Changes, Failure, Fight, network_key
from flatnet.state.effects import Effect, Surface, Verb
from tests.effects import BRIDGE, DHCP, RELOADED, guard_set, port

UP = Effect(Surface.BRIDGE, Verb.UP, "br100")
GONE = Effect(Surface.PORT, Verb.REMOVED, "tap1")
OTHER = Effect(Surface.BRIDGE, Verb.UP, "br101")


def logged(caplog, *fought, made=(UP, GONE, OTHER)):
    fights = tuple(Fight(each, "somebody", 0, 5) for each in fought)
    changes = Changes(made=made, fights=fights)
    with caplog.at_level(logging.INFO):
        caplog.clear()
        passlog.report(Pass(changes=changes), Pass())
    return [record.message for record in caplog.records]


def test_all_that_was_done_is_told(caplog):
    assert logged(caplog) == [str(UP), str(GONE), str(OTHER)]


def test_repairs_of_what_is_fought_about_are_not_told_each_time(caplog):
    assert logged(caplog, BRIDGE, port("tap1")) == [
        str(GONE),
        str(OTHER),
    ]


def test_what_was_done_alike_is_a_line(caplog):
    made = (
        *(guard_set(name, "+1 -0") for name in ("ipv4", "macs", "ports")),
        guard_set("targets", "+2 -0"),
        RELOADED,
    )
    assert logged(caplog, made=made) == [
        "guard ipv4, macs, ports: changed +1 -0",
        "guard targets: changed +2 -0",
        "dhcp br100: reloaded",
    ]


def test_what_is_within_another_is_told_by_all_its_names(caplog):
    made = tuple(
        Effect(Surface.FIREWALL, Verb.WRITTEN, ("iptables", "nat", chain))
        for chain in ("flatnet-snat", "flatnet-dnat")
    )
    assert logged(caplog, made=made) == [
        "firewall iptables nat flatnet-snat, iptables nat flatnet-dnat: "
        "written"
    ]


def test_a_line_names_few_things_of_many(caplog):
    made = tuple(
        Effect(Surface.PORT, Verb.REMOVED, f"tap{n}") for n in range(40)
    )
    lines = logged(caplog, made=made)
    named = [each.removeprefix("port ").split(": ")[0] for each in lines]
    assert [len(each.split(", ")) for each in named] == [16, 16, 8]
    assert ", ".join(named) == ", ".join(f"tap{n}" for n in range(40))


def failing(*failures):
    return Pass(changes=Changes(failures=failures))


def test_what_fails_of_a_network_is_told_once_whoever_comes(caplog):
    def of(*instances):
        return failing(Failure(DHCP, "no room", instances, network_key(3)))

    before = failing()
    for outcome in (of("vm-1"), of("vm-1", "vm-2"), of()):
        assert outcome.has_news(before) is (before == failing())
        passlog.report(outcome, before)
        before = outcome
    (record,) = caplog.records
    assert record.message == (
        "dhcp br100: no room (instances: all of network 3)"
    )


def test_what_fails_of_one_more_instance_is_news(caplog):
    first, second = (
        failing(Failure(port("tap1"), "no room", of))
        for of in (("vm-1",), ("vm-1", "vm-2"))
    )
    assert second.has_news(first)
    passlog.report(second, first)
    assert "vm-1, vm-2" in caplog.text
