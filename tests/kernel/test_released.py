"""What stays tracked of a guest whose port goes, and for how long."""

import re
from dataclasses import replace

import pytest
from connections import SERVED, SSH, both_ways, host, made, net
from connections import applied as all_applied
from segment import guest
from test_handovers import come_to_rest

from flatnet.apply.filter.connections import conntrack_table, released
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.exceptions import HostSetupError

__all__ = ("made", "net")

NEIGHBOUR = 2
OWN = "10.0.0.2"
LEASE = 86400
PORT = f"tap{guest(SERVED).uuid[:11]}"
PLAIN = host(SSH)
LESS = host(SSH, numbers=(2, 3))
DIED = replace(LESS, gone=(PORT,))
MOVED = replace(LESS, gone=(PORT,), moved=(PORT,))


@pytest.fixture
def ends(net, made):
    """Connections of guest 1, by who is at their other end."""
    net.node.run("conntrack -F", check=False)
    net.node.call(all_applied, [PLAIN])
    served, far = net.guests[SERVED], net.other
    found = {
        "outside": made.make(served, net.outside, "192.0.2.9", 80),
        "neighbour": made.make(net.guests[NEIGHBOUR], served, OWN, 22),
        "other host": made.make(far, served, OWN, 22),
        "host": made.make(served, net.node_host, "10.0.0.1", 80),
        "others'": made.make(
            net.guests[NEIGHBOUR], net.outside, "192.0.2.9", 80
        ),
    }
    for each in found.values():
        assert both_ways(each)
        come_to_rest(each)
    return found


@pytest.fixture(autouse=True)
def node_host(net):
    """The node as an end of connections."""
    net.node_host = type("Node", (), {"namespace": net.node})


def lasting(net, ends):
    """For how many seconds each is tracked, by name."""
    lines = net.node.run("conntrack -L -p tcp", check=False).splitlines()
    found = {}
    for name, (near, _) in ends.items():
        port = f"sport={near.getsockname()[1]} "
        for line in (each for each in lines if port in each):
            found[name] = int(re.match(r"tcp +6 (\d+) ", line)[1])
    return found


def test_of_who_is_no_more_nothing_is_tracked(net, ends):
    net.node.call(all_applied, [PLAIN, DIED])
    assert lasting(net, ends).keys() == {"others'"}


def test_of_who_moved_it_is_what_still_comes_here(net, ends):
    net.node.call(all_applied, [PLAIN, MOVED])
    found = lasting(net, ends)
    assert found.keys() == ends.keys() - {"other host"}
    assert all(found[each] <= LEASE for each in ("outside", "host"))
    # What this host answers for guests of its own is as it was.
    assert all(found[each] > LEASE for each in ("neighbour", "others'"))


def test_what_comes_does_not_make_it_last_longer(net, ends):
    net.node.call(all_applied, [PLAIN, MOVED])
    # He is here still, for this test, and goes on.
    net.node.call(all_applied, [MOVED, PLAIN])
    assert both_ways(ends["outside"])
    assert lasting(net, ends)["outside"] <= LEASE


def test_a_port_that_goes_without_a_word_leaves_all(net, ends):
    net.node.call(all_applied, [PLAIN, LESS])
    assert lasting(net, ends).keys() == ends.keys()


def test_what_cannot_be_listed_is_nobodys_failure(net, monkeypatch):
    def refused(*_):
        raise HostSetupError("the table cannot be read")

    monkeypatch.setattr(conntrack_table, "_dumped", refused)

    def released_now():
        with Session() as session:
            addresses = frozenset((OWN,))
            return released.release_connections(MOVED, addresses, session)

    (failure,) = net.node.call(released_now).failures
    assert (failure.instances, failure.key) == ((), None)
