"""What was done, as values: what people read of it, and how it travels."""

import socket
from dataclasses import replace

import pytest

from flatnet.apply import channel
from flatnet.state.changes import HOST, Changes, Failure, Fight, group_key
from flatnet.state.effects import Effect, Subject, Surface, Verb
from tests.effects import BRIDGE, chain, cut, guard_set, port, was_set

LINES = {
    "bridge br100: made": Effect(Surface.BRIDGE, Verb.MADE, "br100"),
    "bridge br100: added address 10.0.0.1/24": Effect(
        Surface.BRIDGE, Verb.ADDED, "br100", "address 10.0.0.1/24"
    ),
    "uplink eth1: enslaved to br100": Effect(
        Surface.UPLINK, Verb.ENSLAVED, "eth1", "to br100"
    ),
    "sysctl net.ipv4.ip_forward: set to 1": was_set("net.ipv4.ip_forward", 1),
    "conntrack: cut 3 connections": cut(3),
    "guard ports: changed +1 -0": guard_set("ports", "+1 -0"),
    "firewall iptables filter flatnet-g-1: written": chain(
        Verb.WRITTEN, "flatnet-g-1"
    ),
}


@pytest.mark.parametrize("line", LINES)
def test_the_line_of_an_effect(line):
    assert str(LINES[line]) == line


def test_a_surface_as_a_whole():
    assert str(Subject(Surface.PORT)) == "ports"
    assert str(Subject(Surface.FIREWALL)) == "firewall"
    assert str(Failure(BRIDGE, "no room")) == "bridge br100: no room"


def test_what_was_done_is_told_apart_by_value():
    made = Effect(Surface.PORT, Verb.MADE, "tap1")
    assert made.subject == port("tap1")
    assert replace(made, detail="again").subject == made.subject
    assert made.subject != Effect(Surface.BRIDGE, Verb.MADE, "tap1").subject


@pytest.mark.parametrize("surface", Surface)
def test_the_daemon_gets_what_the_applier_did(surface):
    done = Changes(
        tuple(Effect(surface, verb, "x", "for people") for verb in Verb),
        tuple(
            Failure(Subject(surface, which), "refused", ("vm-1",), key)
            for which in ("x", ("iptables", "filter", "INPUT"))
            for key in (None, HOST, group_key(1))
        ),
        fights=(Fight(Subject(surface), "somebody", 0, 5),),
    )
    ours, theirs = socket.socketpair()
    with ours, theirs:
        channel.send(ours, channel.Reply(changes=done))
        assert channel.receive_reply(theirs).changes == done
