"""Who claims an address of this host, or of its guests, is told of."""

import socket
from dataclasses import replace

import pytest
from bridged import plan, reach
from guarded import guard, guarded_network, guarded_port, machine
from strangers import STRANGER, beyond_uplink, frame

from flatnet.apply.filter.guard.claims import MOST
from flatnet.apply.filter.guard.guard import Guarding, apply_guard
from flatnet.apply.filter.guard.libnftables import Session

GUEST = machine("fa:16:3e:00:00:01", "10.0.0.7")


@pytest.fixture
def segment(namespaces):
    return beyond_uplink(namespaces)


def guarded():
    """One pass of the guard, and what it then says."""
    wanted = guard(
        *(
            replace(
                guarded_port(f"tap{number:08d}-aa", GUEST),
                addresses=(f"10.0.0.{number}",),
            )
            for number in range(7, 20)
        ),
        networks=(
            guarded_network(bridge="br100", address="10.0.0.2", uplink="eth1"),
        ),
    )
    with Session() as session:
        return apply_guard(session, Guarding(), wanted).warnings


def send(other, *frames):
    def run():
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
            raw.bind(("eth0", 0))
            for each in frames:
                raw.send(each)

    other.call(run)


def test_who_claims_an_address_later_is_told_of(segment):
    host, other = segment
    other.run("ip addr flush dev eth0")
    reach(host, plan(address="10.0.0.2/24", uplink="eth1"))
    assert host.call(guarded) == ()
    send(
        other,
        frame(STRANGER, "10.0.0.2", "10.0.0.2"),
        frame(STRANGER, "10.0.0.7", "10.0.0.1", operation=2),
        frame(STRANGER, "10.0.0.77", "10.0.0.1"),
    )
    lines = host.call(guarded)
    assert [line.partition(":")[0] for line in lines] == [
        "address 10.0.0.2 of the bridge br100 is claimed by 52",
        "address 10.0.0.7 of instance uuid of tap00000007-aa is claimed by 52",
    ]
    assert all(f"{STRANGER} on eth1" in line for line in lines)
    # Of many there are few lines, and of one address one.
    send(
        other,
        *(
            frame(f"52:54:00:00:{mac:02x}:00", f"10.0.0.{n}", "10.0.0.1")
            for n in range(2, 20)
            for mac in range(200)
        ),
    )
    lines = host.call(guarded)
    assert len(lines) == MOST + 1
    assert "more addresses of this host are claimed" in lines[-1]


def test_what_is_claimed_beyond_measure_is_dropped_all_the_same(segment):
    """The set that notes it is full; the rule behind it stands."""
    host, other = segment
    other.run("ip addr flush dev eth0")
    reach(host, plan(address="10.0.0.2/24", uplink="eth1"))
    host.call(guarded)
    host.run("ping -c1 -W1 10.0.0.30", check=False)
    send(
        other,
        *(
            frame(
                f"52:54:00:{number >> 8:02x}:{number & 255:02x}:00",
                "10.0.0.2",
                "10.0.0.2",
            )
            for number in range(1500)
        ),
        frame(STRANGER, "10.0.0.30", "10.0.0.2"),
    )
    held = host.json("nft -j list set bridge flatnet claims")
    (found,) = [e["set"] for e in held["nftables"] if "set" in e]
    assert len(found["elem"]) <= 1024
    neighbours = {e["dst"] for e in host.json("ip -j neigh show dev br100")}
    assert "10.0.0.2" not in neighbours
