"""What is heard of transactions of nftables, and what of it is about us."""

import socket
import subprocess
from contextlib import contextmanager

from test_watch import applier, output

from flatnet.apply import watch
from flatnet.apply.filter.iptables.touched_tables import NOTHING
from flatnet.apply.rule_writers import UNKNOWN


def test_what_is_not_ours_wakes_nobody(namespace, tmp_path):
    def others():
        with applier(tmp_path, tmp_path / "log"), watch_here() as own:
            output("iptables -N DOCKER")
            output("iptables -A DOCKER -j RETURN")
            output("nft add table inet theirs")
            assert about_us(own.drain()) == []
            output("iptables -A FORWARD -j DOCKER")
            output("iptables -D FORWARD -j DOCKER")
            assert about_us(own.drain()) == []
            for command in (
                # The place of another may be above our jump.
                "iptables -A FORWARD -s 192.0.2.1 -j DROP",
                "iptables -R FORWARD 2 -s 192.0.2.1 -j ACCEPT",
                # It may have had one of our names.
                "iptables -E DOCKER PODMAN",
            ):
                output(command)
            assert len(about_us(own.drain())) == 2
            output("iptables -I FORWARD -j PODMAN")
            (told,) = about_us(own.drain())
            assert told.writer.name.startswith("iptables (")
            assert told.touched.above == {(4, "filter", "FORWARD")}
            assert not told.touched.families

    namespace.call(others)


def about_us(noticed):
    return [
        each
        for each in noticed.transactions
        if each.is_guards or each.touched != NOTHING
    ]


@contextmanager
def watch_here():
    opened = watch.Watch()
    try:
        yield opened
    finally:
        opened.close()


def test_lost_events_are_a_reason_to_look(namespace):
    def lost():
        with watch_here() as own:
            own.sockets[1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            text = "add table inet flatnet\n" + "".join(
                f"add chain inet flatnet c{number}\n" for number in range(5000)
            )
            subprocess.run(
                ["nft", "-f", "-"], input=text, text=True, check=True
            )
            first = own.drain()
            output("nft delete table inet flatnet")
            return first, own.drain(), own.drain()

    first, second, third = namespace.call(lost)
    assert first.transactions == (watch.Transaction(UNKNOWN, is_guards=True),)
    assert second.transactions
    assert third == watch.Noticed()
