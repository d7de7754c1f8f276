"""Which addresses connections are looked for of, and which not."""

import pytest
from connections import WEB, apply, silent_segment

from flatnet.apply.filter.guard import met
from flatnet.apply.filter.guard import routed as guard_routed
from tests.effects import cut

# The first of whom has no port, so that the notes are complete after that.
EVERYBODY = (6, 1, 2, 3)
# Of instance 7, who is not here yet.
ADDRESS, WITH_IT = "10.0.0.8", (*EVERYBODY, 7)
CUT = (cut(1),)


@pytest.fixture
def net():
    with silent_segment() as built:
        yield built


def insert(net):
    """A connection to the address that the guard had no packet of."""
    net.node.run(
        f"conntrack -I -t 600 -u ASSURED -s 192.0.2.9 -d {ADDRESS} -p udp "
        "--sport 3 --dport 4"
    )


def tracked(net):
    lines = net.node.run("conntrack -L -p udp").splitlines()
    return [line for line in lines if f"dst={ADDRESS} " in line]


def send(net, *addresses):
    """Have a guest send a datagram to addresses, whoever has them."""
    namespace = net.guests[1].namespace
    for address in addresses:
        mac = "02:00:00:00:00:77"
        namespace.run(f"ip neigh replace {address} lladdr {mac} dev eth0")
        namespace.run("bash", "-c", f"echo x > /dev/udp/{address}/9")


def test_whom_nobody_met_nothing_is_looked_for(net):
    apply(net, WEB, numbers=EVERYBODY)
    insert(net)
    assert apply(net, WEB, numbers=WITH_IT) == ()
    assert tracked(net)


def test_who_was_sent_something_is_known(net):
    apply(net, WEB, numbers=EVERYBODY)
    send(net, ADDRESS)
    assert tracked(net)
    assert apply(net, WEB, numbers=WITH_IT) == CUT
    assert not tracked(net)


def test_connections_from_before_the_guard_are_listed(net):
    insert(net)
    apply(net, WEB, numbers=EVERYBODY)
    assert apply(net, WEB, numbers=WITH_IT) == CUT
    assert not tracked(net)


@pytest.mark.parametrize(
    "loss",
    [
        "nft flush set inet flatnet met4",
        "nft delete table inet flatnet",
        "nft add element inet flatnet missed4 { 10.0.0.99 }",
    ],
)
def test_where_notes_are_missing_connections_are_looked_for(net, loss):
    apply(net, WEB, numbers=EVERYBODY)
    insert(net)
    net.node.run(loss)
    assert apply(net, WEB, numbers=WITH_IT) == CUT
    assert not tracked(net)


def test_a_set_that_is_full_says_so(net, monkeypatch):
    small = "type ipv4_addr; size 4; flags dynamic"
    for keys in (met.SET_KEYS, guard_routed.SET_KEYS):
        monkeypatch.setitem(keys, "met4", small)
    apply(net, WEB, numbers=EVERYBODY)
    send(net, *(f"10.0.0.{number}" for number in range(60, 70)))
    assert "10.0.0." in net.node.run("nft list set inet flatnet missed4")
    insert(net)
    assert apply(net, WEB, numbers=WITH_IT) == CUT
