"""Which addresses connections are looked for of, and which not."""

import pytest
from connections import WEB, applied, apply, host, silent_segment

from flatnet.apply.filter.guard import peers
from flatnet.apply.filter.guard import routed as guard_routed
from tests.effects import cut

# The first of whom has no port, so that the notes are complete after that.
EVERYBODY = (6, 1, 2, 3)
# Of instance 7, who is not here yet.
ADDRESS, WITH_IT = "10.0.0.8", (*EVERYBODY, 7)


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


def comes(net, between):
    """What is cut when the instance comes to a host that stands."""
    before, after = (host(WEB, numbers=each) for each in (EVERYBODY, WITH_IT))
    return net.node.call(applied, [before, after], between)[-1]


def test_whom_nobody_met_nothing_is_looked_for(net):
    assert comes(net, lambda: insert(net)) == ()
    assert tracked(net)


def test_who_was_sent_something_is_known(net):
    assert comes(net, lambda: send(net, ADDRESS)) == (cut(1),)
    assert not tracked(net)


def test_connections_from_before_the_guard_are_listed(net):
    insert(net)
    assert comes(net, lambda: None) == (cut(1),)
    assert not tracked(net)


def test_who_begins_to_serve_lists_them_once(net):
    apply(net, WEB, numbers=EVERYBODY)
    insert(net)
    assert comes(net, lambda: None) == (cut(1),)


@pytest.mark.parametrize(
    "loss",
    [
        "nft flush set inet flatnet met4",
        "nft delete table inet flatnet",
        "nft add element inet flatnet missed4 { 10.0.0.99 }",
    ],
)
def test_where_notes_are_missing_connections_are_looked_for(net, loss):
    def damaged():
        send(net, "10.0.0.60")
        insert(net)
        net.node.run(loss)

    # That it has an owner keeps others out; not every kernel has owners.
    net.node.run("nft add table inet flatnet")
    assert comes(net, damaged) == (cut(1),)
    assert not tracked(net)


def test_old_notes_that_somebody_puts_back_are_not_believed(net, tmp_path):
    saved = tmp_path / "saved"

    def restored():
        saved.write_text(net.node.run("nft list table inet flatnet"))
        send(net, ADDRESS)
        net.node.run("nft delete table inet flatnet")
        net.node.run(f"nft -f {saved}")

    net.node.run("nft add table inet flatnet")
    assert comes(net, restored) == (cut(1),)


def small(monkeypatch, size):
    key = f"type ipv4_addr; size {size}; flags dynamic"
    monkeypatch.setitem(peers._SIZES, 4, size)
    for keys in (peers.SET_KEYS, guard_routed.SET_KEYS):
        monkeypatch.setitem(keys, "met4", key)


def test_a_set_that_is_full_says_so(net, monkeypatch):
    small(monkeypatch, 8)

    def filled():
        send(net, *(f"10.0.0.{number}" for number in range(60, 70)))
        missed = net.node.run("nft list set inet flatnet missed4")
        assert "10.0.0." in missed
        insert(net)

    assert comes(net, filled) == (cut(1),)


def test_more_than_a_set_takes_are_not_noted_one_by_one(net, monkeypatch):
    small(monkeypatch, 4)
    apply(net, WEB, numbers=EVERYBODY[1:])
    send(net, *(f"10.0.0.{number}" for number in range(60, 70)))
    net.node.run("nft delete table inet flatnet")
    assert comes(net, lambda: insert(net)) == (cut(1),)
    assert "10.0.0." in net.node.run("nft list set inet flatnet missed4")
