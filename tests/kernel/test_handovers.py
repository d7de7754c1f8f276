"""Addresses that go from one guest to another whose port is there."""

import fcntl
import struct
import termios
from functools import partial
from unittest import mock

import pytest
from connections import (
    SAME_BRIDGE,
    SERVED,
    SSH,
    both_ways,
    host,
    made,
    net,
)
from connections import applied as all_applied
from segment import guest

from flatnet.apply.filter.connections import conntrack, conntrack_table
from flatnet.apply.filter.guard import nft, peers
from flatnet.apply.filter.guard.guard import TABLE, Guarding, apply_guard
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.exceptions import HostSetupError
from tests.effects import cut
from tests.waiting import eventually

__all__ = ("made", "net")

OLD, NEW = "10.0.0.2", "10.0.0.3"
ERROR = HostSetupError("the table cannot be read")
PLAIN = host(SSH)
SWAPPED = host(SSH, addresses={SERVED: (NEW,), SAME_BRIDGE: (OLD,)})
SECOND = host(SSH, numbers=(2, 3), addresses={SAME_BRIDGE: (NEW, OLD)})


def tracked(net, address):
    lines = net.node.run("conntrack", "-L", check=False).splitlines()
    return [each for each in lines if f"={address} " in each]


def is_tracked(net, address, ends):
    """Others who are cut may be told of by who sends to them once more."""
    port = ends[0].getsockname()[1]
    return any(f"port={port} " in each for each in tracked(net, address))


def begun(net, made):
    """What the last holder has begun, and what a third one has."""
    guests = net.guests
    lost = made.make(guests[SERVED], net.outside, "192.0.2.9", 80)
    kept = made.make(guests[3], net.outside, "192.0.2.9", 81)
    assert both_ways(lost)
    return kept


def come_to_rest(ends):
    """Wait until neither will send again what it takes to be lost.

    To nobody: the host would pass it on, and track it.
    """

    def unheard(end):
        return struct.unpack("i", fcntl.ioctl(end, termios.TIOCOUTQ, b"1234"))

    eventually(lambda: {unheard(end) for end in ends} == {(0,)})


def in_one(net, plans):
    return net.node.call(all_applied, plans)[1:]


def one_by_one(net, plans):
    """As by workers of which each dies."""
    done = [net.node.call(all_applied, [plan]) for plan in plans]
    return [cuts[0] for cuts in done[1:]]


@pytest.mark.parametrize("run", [in_one, one_by_one])
@pytest.mark.parametrize("after", ["swapped", "freed first"])
def test_what_the_last_holder_began_is_not_the_next_ones(
    net, made, run, after
):
    net.node.call(all_applied, [PLAIN])
    kept = begun(net, made)
    assert tracked(net, OLD)
    freed = [host(SSH, numbers=(2, 3)), SECOND]
    run(net, [PLAIN, *([SWAPPED] if after == "swapped" else freed)])
    assert not [each for each in tracked(net, OLD) if "192.0.2.9" in each]
    assert both_ways(kept)


def test_nobody_has_it_before_they_are_cut(net, made):
    """The guard takes it from the one, and gives it to the other after."""
    net.node.call(all_applied, [PLAIN])
    begun(net, made)

    def held():
        with Session() as session:
            return nft.read(session, "bridge", TABLE).elements["ipv4"]

    def moved():
        with Session() as session:
            guarding, seen = Guarding(), []
            apply_guard(session, guarding, PLAIN.guard)

            def forget(addresses):
                seen.append((addresses, held()))
                return conntrack.forget_connections(
                    SWAPPED, addresses, session
                )

            done = apply_guard(session, guarding, SWAPPED.guard, cut=forget)
            again = apply_guard(session, guarding, SWAPPED.guard, cut=forget)
            return seen, done.failures, again.made, held()

    ((asked, meanwhile),), failures, again, after = net.node.call(moved)
    assert asked == {OLD, NEW}
    assert len(meanwhile) == len(after) - 2
    assert (failures, again) == ((), ())


def test_what_cannot_be_cut_is_kept_from_the_next_one(net, made):
    net.node.call(all_applied, [PLAIN])
    begun(net, made)

    def moved():
        with Session() as session:
            guarding = Guarding()
            apply_guard(session, guarding, PLAIN.guard)
            forget = partial(
                conntrack.forget_connections, SWAPPED, session=session
            )
            with mock.patch.object(conntrack, "flows_of", side_effect=ERROR):
                first = apply_guard(
                    session, guarding, SWAPPED.guard, cut=forget
                )
            then = apply_guard(session, guarding, SWAPPED.guard, cut=forget)
            last = apply_guard(session, guarding, SWAPPED.guard, cut=forget)
            return first, then, last

    first, then, last = net.node.call(moved)
    (failure,) = first.failures
    # The other address was never met.
    assert failure.instances == (guest(SAME_BRIDGE).instance_uuid,)
    assert then.failures == ()
    assert cut(1) in then.made
    assert (last.made, last.failures) == ((), ())


def test_of_an_address_that_a_port_loses_nothing_lingers(net, made):
    both = host(SSH, numbers=(2, 3), addresses={SAME_BRIDGE: (NEW, OLD)})
    less = host(SSH, numbers=(2, 3), addresses={SAME_BRIDGE: (OLD,)})
    net.node.call(all_applied, [both])
    kept = made.make(net.guests[3], net.outside, "192.0.2.9", 81)
    lost = made.make(net.outside, net.guests[SAME_BRIDGE], NEW, 22)
    assert both_ways(lost)
    come_to_rest(lost)
    assert all(in_one(net, [both, less]))
    assert not is_tracked(net, NEW, lost)
    assert is_tracked(net, "192.0.2.9", kept)
    assert both_ways(kept)


def test_who_goes_may_have_moved(net, made):
    """What he sends to who stays goes on, and by this host's gateway."""
    net.node.call(all_applied, [PLAIN])
    lost = made.make(net.guests[SERVED], net.outside, "192.0.2.9", 80)
    assert both_ways(lost)
    come_to_rest(lost)
    in_one(net, [PLAIN, host(SSH, numbers=(2, 3))])
    assert is_tracked(net, OLD, lost)


@pytest.mark.parametrize("error", [ERROR, TimeoutError("timed out")])
def test_what_lingers_all_the_same_is_nobodys_failure(net, made, error):
    both = host(SSH, numbers=(2, 3), addresses={SAME_BRIDGE: (NEW, OLD)})
    less = host(SSH, numbers=(2, 3), addresses={SAME_BRIDGE: (OLD,)})
    net.node.call(all_applied, [both])
    made.make(net.outside, net.guests[SAME_BRIDGE], NEW, 22)

    def lost():
        with Session() as session:
            guarding = Guarding()
            apply_guard(session, guarding, both.guard)
            forget = partial(
                conntrack.forget_connections, less, session=session
            )
            with mock.patch.object(
                conntrack_table, "_dumped", side_effect=error
            ):
                done = apply_guard(session, guarding, less.guard, cut=forget)
            return done, peers.are_complete(session)

    done, are_complete = net.node.call(lost)
    assert (done.failures, done.uncut) == ((), frozenset())
    assert [w for w in done.warnings if str(error) in w]
    assert not are_complete
