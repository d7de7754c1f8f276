"""One malformed row costs its own instance, and never the host."""

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as of_test
from hypothesis import strategies as st

from flatnet.apply.filter.iptables.rendering import rules
from flatnet.apply.grammar.instances import Passed
from flatnet.apply.grammar.plan import checked
from flatnet.exceptions import HostSetupError
from flatnet.state.changes import Changes, Failure
from flatnet.state.filtering import Opening
from flatnet.state.rows import SecurityGroup, SecurityRule
from tests.builders import (
    interface,
    network,
    reconciling,
    settings,
    snapshot,
)
from tests.effects import port
from tests.planned import host_plan
from tests.sets import members
from tests.unit.test_grammar import of_part, of_server, plan
from tests.unit.test_grammar_fuzz import (
    PATHS,
    SAME_EACH_TIME,
    changed,
    spoils_of,
    spoilt,
)

GROUP = SecurityGroup(1, "w", (SecurityRule(1, "tcp", 22, 22, "0.0.0.0/0"),))
OTHER = interface(2, security_group_ids=(1,))


def of_row(**fields):
    """What is planned for one odd row beside one that is well."""
    rows = snapshot(
        networks=(network(cidr_v6="2001:db8::/64"),),
        interfaces=(interface(1, security_group_ids=(1,), **fields), OTHER),
        security_groups=(GROUP,),
    )
    return host_plan(rows, settings(allow_same_net_traffic=False), {})


def other(wanted):
    return [
        guest
        for guest in wanted.filter.guests
        if guest.instance_uuid == OTHER.instance_uuid
    ]


@pytest.mark.parametrize(
    "fields", [{}, {"instance_uuid": "a b"}, {"uuid": "a b"}, {"mac": "x"}]
)
def test_ports_by_name_are_those_that_are_left(fields):
    found, _ = checked(of_row(**fields), Passed())
    assert found.ports is found.arranged.values
    ports = [port for bridge in found.bridges for port in bridge.ports]
    assert dict(found.ports) == {each.name: each for each in ports}
    named = found.guard.named
    assert named is found.guard.arranged.values
    assert dict(named) == {each.name: each for each in found.guard.ports}


@pytest.mark.parametrize(
    "fields",
    [
        {"instance_uuid": "a b"},
        {"instance_uuid": "a\nb"},
        {"instance_uuid": "-x"},
        {"instance_uuid": ""},
        {"uuid": "a b"},
        {"uuid": "x\n-F FORWARD"},
        {"uuid": "x -j ACCEPT"},
        {"uuid": "../../x"},
        {"uuid": ""},
        {"mac": "rubbish"},
    ],
)
def test_an_odd_row_costs_its_own_instance(fields):
    wanted = of_row(**fields)
    found, failures = checked(wanted, Passed())
    assert failures
    named = {uuid for each in failures for uuid in each.instances}
    assert OTHER.instance_uuid not in named
    for each in failures:
        assert str(each.subject).isprintable()
        assert each.message.endswith("mend its row")
    assert other(found) == other(wanted) != []
    assert found.filter.groups == wanted.filter.groups
    (bridge,) = found.bridges
    assert OTHER.mac in {port.mac for port in bridge.ports}


@pytest.mark.parametrize("uuid", ["a b", "x -j ACCEPT", "x\n-F FORWARD"])
def test_nothing_is_let_in_to_an_odd_one(uuid):
    found, _ = checked(of_row(uuid=uuid), Passed())
    sets = {each.name: members(each) for each in rules(found.filter).sets}
    assert "10.0.0.2" in sets["flatnet-filtered4"]
    assert "10.0.0.2" not in sets["flatnet-p4-6"]


def test_an_instance_that_begins_anew_under_an_odd_name_is_left_out():
    wanted = replace(plan(), renewed=("a b", "b"))
    found, (failure,) = checked(wanted, Passed())
    assert found.renewed == ("b",)
    assert failure.instances == ("a b",)


def test_a_guarded_port_of_an_odd_instance_is_left_out():
    guard = plan().guard
    first, *rest = guard.ports
    odd = replace(first, instance_uuid="a\nb")
    wanted = replace(plan(), guard=replace(guard, ports=(odd, *rest)))
    found, (failure,) = checked(wanted, Passed())
    assert found.guard.ports == tuple(rest)
    assert failure.subject == port(first.name)


@pytest.mark.parametrize("name", ["a\nb", "a\0", "é", "a" * 256])
def test_a_host_of_an_odd_name_is_refused(name):
    with pytest.raises(HostSetupError, match="is no name of a host"):
        checked(replace(plan(), host=name), Passed())


def is_an_instances(path):
    """Whether a path leads to what one instance, or one group, has."""
    if path[0] == "renewed":
        return True
    if path[0] == "filter":
        return (path[1] == "guests" and path[3] != "bridge") or (
            path[1] == "groups" and path[3] == "openings"
        )
    return "ports" in path or "hosts" in path


OWN = [path for path in PATHS if is_an_instances(path)]


@of_test(max_examples=1000, deadline=None, **SAME_EACH_TIME)
@given(st.lists(spoils_of(OWN), min_size=1, max_size=3))
def test_no_value_of_an_instance_refuses_the_host(spoils):
    wanted = plan()
    for path, attack, place, number in spoils:
        wanted = changed(
            wanted,
            path,
            lambda value, a=attack, p=place, n=number: spoilt(value, a, p, n),
        )
    _, failures = checked(wanted, Passed())
    for each in failures:
        assert str(each).isprintable()


@pytest.mark.parametrize(
    "wanted",
    [
        replace(plan(), sysctls=plan().sysctls * 100_000),
        replace(plan(), renewed=("x",) * 100_000),
        replace(plan(), bridges=plan().bridges * 5_000),
        of_server(hosts=plan().dhcp_servers[0].hosts * 50_000),
        of_part("members", addresses=("10.0.0.1",) * 1_100_000),
        of_part("groups", openings=(Opening(4),) * 3_000_000),
    ],
)
def test_too_much_is_refused_before_it_is_looked_at(wanted):
    begun = time.process_time()
    with pytest.raises(HostSetupError, match=r"at most \d+ are taken"):
        checked(wanted, Passed())
    assert time.process_time() - begun < 1


@pytest.mark.parametrize("name", ["addresses", "groups"])
def test_a_guest_with_too_much_is_shut_alone(name):
    first, *others = plan().filter.guests
    many = (*getattr(first, name), 7)[:1] * 5000
    odd = replace(first, filtered=False, **{name: many})
    wanted = replace(plan().filter, guests=(odd, *others))
    found, (failure,) = checked(replace(plan(), filter=wanted), Passed())
    assert found.filter.guests[1:] == tuple(others)
    assert found.filter.guests[0].filtered
    assert found.filter.guests[0].groups == ()
    assert f"it has 5000 {name}, at most 4096 are taken" in str(failure)


def test_many_odd_ports_are_told_apart_in_no_time():
    (bridge,) = plan().bridges
    ports = tuple(
        replace(bridge.ports[0], name=f"x{number}") for number in range(20_000)
    )
    wanted = replace(plan(), bridges=(replace(bridge, ports=ports),))
    begun = time.process_time()
    _, failures = checked(wanted, Passed())
    assert len(failures) == 20_000
    assert time.process_time() - begun < 5


class Applier:
    """What tells of an instance with an odd name."""

    def uplinks(self, names):
        return ()

    def apply(self, parts, *, renewed, looked_at):
        return Changes(failures=(Failure(port("x"), "odd", ("a\nb",)),))


def test_an_odd_name_breaks_no_line_of_the_log(caplog):
    reconciling(Applier(), interval=60).run_pass()
    assert "(instances: a\\nb)" in caplog.text
