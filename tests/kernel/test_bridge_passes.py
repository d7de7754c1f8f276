"""A pass over a host: from anything to the plan, once, and quickly."""

import socket
import subprocess
import time

import pytest
from bridged import (
    MAC,
    NOTHING,
    addresses,
    apply,
    instance,
    links,
    one_pass,
    plan,
    reach,
    tap,
    uplink,
    veth,
)
from hypothesis import HealthCheck, example, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from namespaces import fresh_namespace
from pyroute2 import IPRoute
from pyroute2.netlink.rtnl import RTMGRP_IPV4_IFADDR, RTMGRP_LINK

from flatnet.apply.link.links import LinkPass, link_pass
from flatnet.apply.link.ports import apply_port
from flatnet.state.changes import Changes
from tests.effects import BRIDGE, port


def test_the_second_pass_writes_nothing(namespace):
    def notifications(wanted):
        with IPRoute() as events:
            events.bind(groups=RTMGRP_LINK | RTMGRP_IPV4_IFADDR)
            changes = one_pass(wanted)
            names = socket.if_nameindex()
            # One change of the test's own marks the end.
            with IPRoute() as other:
                other.link("set", index=1, ifalias="end")
            seen = []
            while not seen or seen[-1] != "end":
                seen.extend(
                    event.get_attr("IFLA_IFALIAS") for event in events.get()
                )
            return changes, len(seen), len(names)

    uplink(namespace)
    wanted = plan(tap(1), veth(2), uplink="eth1")
    first, written, _ = namespace.call(notifications, wanted)
    assert first.failures == ()
    assert written > 1
    namespace.run("ip link set lo alias start")
    second, written, _ = namespace.call(notifications, wanted)
    assert (second, written) == (Changes(), 1)


def commands():
    """Commands that leave a host in any state a plan may meet."""
    names = st.sampled_from(
        [tap(1).name, veth(2).name, veth(2).peer, tap(3).name, "eth1", "br7"]
    )
    masters = st.sampled_from(["br100", "br7", "br100"])
    marks = st.sampled_from([f"flatnet:{instance(1)}", "flatnet:x"])
    return st.lists(
        st.one_of(
            st.builds("ip link set {} master {}".format, names, masters),
            st.builds("ip link set {} nomaster".format, names),
            st.builds("ip link set {} down".format, names),
            st.builds("ip link set {} up".format, names),
            st.builds("ip link set {} mtu 1333".format, names),
            st.builds("ip link del {}".format, names),
            st.builds("ip link set {} alias {}".format, names, marks),
            st.builds("ip tuntap add {} mode tap".format, names),
            st.just("ip link add br100 type bridge stp_state 1"),
            st.just(f"ip link add br100 address {MAC} type bridge"),
            st.just("ip link add br7 type bridge"),
            st.just("ip link set br7 alias flatnet:old"),
            st.just("ip link set br100 address 02:00:00:00:00:99"),
            st.just("ip link set br100 down"),
            st.just("ip link set br100 type bridge group_fwd_mask 0"),
            st.just("ip link del br100"),
            st.just("ip addr add 10.0.0.3/24 dev br100 proto 0xfa"),
            st.just("ip addr flush dev br100"),
            st.just("sysctl -w net.ipv6.conf.br100.disable_ipv6=0"),
        ),
        max_size=12,
    )


@examples(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(before=st.booleans(), junk=commands())
@example(before=False, junk=[f"ip tuntap add {veth(2).peer} mode tap"])
@example(
    before=False,
    junk=[
        "ip link add br100 type bridge stp_state 1",
        f"ip tuntap add {tap(1).name} mode tap",
        f"ip link set {tap(1).name} up",
    ],
)
def test_from_anything_to_the_plan(before, junk):
    wanted = plan(tap(1), veth(2), tap(3))
    with fresh_namespace() as namespace:
        uplink(namespace)
        if before:
            apply(namespace, plan(tap(1), veth(2), uplink="eth1"))
        for command in junk:
            namespace.run(command, check=False)
        first = apply(namespace, wanted)
        # A device of ours in name but marked by nobody may be anybody's.
        taken = {each.subject for each in first.failures}
        narrow = "bridge br100, which flatnet did not make, has mtu 1333"
        for each in first.failures:
            assert each.message.startswith(narrow) or (
                "is not flatnet's" in each.message
            )
        assert apply(namespace, wanted).made == ()
        found = links(namespace)
        if BRIDGE in taken:
            assert found["br100"]["mtu"] == 1333
            return
        assert found["br100"]["mtu"] == 1500
        assert "10.0.0.1/24" in addresses(namespace, "br100")
        for each in wanted.bridges[0].ports:
            if port(each.name) not in taken:
                assert found[each.name]["master"] == "br100"
                assert "UP" in found[each.name]["flags"]


def test_two_hundred_ports(namespace, record_property):
    ports = tuple(tap(number) for number in range(1, 201))
    for name, wanted in (
        ("make", plan(*ports)),
        ("nothing to do", plan(*ports)),
        ("one more", plan(*ports, veth(201))),
        ("remove", NOTHING),
    ):
        begin = time.perf_counter()
        changes = apply(namespace, wanted)
        seconds = time.perf_counter() - begin
        assert changes.failures == ()
        record_property(name, seconds)
        print(f"200 ports, {name}: {seconds * 1000:.0f} ms")


def test_one_pass_reads_once(namespace, monkeypatch):
    reach(namespace, plan(tap(1), tap(2)))

    def unread(*arguments):
        raise AssertionError("a link was read alone")

    monkeypatch.setattr(LinkPass, "reread", unread)
    assert apply(namespace, plan(tap(1), tap(2))) == Changes()


@pytest.mark.parametrize("wanted", [tap(1), veth(1)])
def test_what_somebody_deletes_meanwhile_is_made_anew(namespace, wanted):
    """It is no failure that a pass had seen it."""
    (bridge,) = plan(wanted).bridges
    reach(namespace, plan(wanted))
    # So that there is something to mend.
    namespace.run("ip", "link", "set", wanted.name, "down")

    def deleted():
        with link_pass() as found:
            subprocess.run(["ip", "link", "del", wanted.name], check=True)
            apply_port(found, bridge, wanted)
            return tuple(map(str, found.made)), found.failures

    made, failures = namespace.call(deleted)
    assert failures == []
    assert f"port {wanted.name}: made" in made
    assert apply(namespace, plan(wanted)) == Changes()


def test_an_unmarked_namespace_has_nothing_of_ours(namespace):
    def ours():
        with link_pass() as found:
            return [link.name for link in found.links.values() if link.ours]

    assert namespace.call(ours) == []
    with pytest.raises(AssertionError):
        namespace.run("ip link show br100")
