"""What is known of nftables, and when it is known no more."""

import os
import socket
import subprocess
from pathlib import Path

from rules import planned
from test_firewall import CLOBBERS, filled

from flatnet.apply import channel
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.filter.iptables.firewall import apply_firewall
from flatnet.apply.filter.iptables.saved import tables_key
from flatnet.apply.filter.nft_proof import Proven, generation
from flatnet.apply.host import HostPaths
from flatnet.apply.watch import Watch
from flatnet.apply.worker import Worker
from flatnet.apply.worker_cache import WorkerCache
from flatnet.state.parts import Parts, difference
from tests.builders import interface, network, settings, snapshot
from tests.planned import parts_of


class Looks:
    """Counts how often somebody looks."""

    def __init__(self):
        self.count = 0

    def __call__(self):
        self.count += 1
        return self.count


def run(*commands):
    for command in commands:
        subprocess.run(command.split(), check=True, capture_output=True)


def printed(*command):
    return subprocess.check_output(command, text=True)


def test_what_is_known_stands_until_somebody_writes(namespace):
    def steps():
        proven, look, found = Proven(), Looks(), []

        def read():
            found.append(proven.read("it", look))

        read()
        read()
        run("nft list ruleset", "ip link add br0 type bridge")
        read()
        run("nft add table ip others")
        read()
        read()
        run("iptables -A INPUT -s 192.0.2.1 -j DROP")
        read()
        return found

    assert namespace.call(steps) == [1, 1, 1, 2, 2, 3]


def test_what_we_write_is_no_loss_if_nobody_else_does(namespace):
    def steps():
        with Session() as session:
            proven, look, found = session.proven, Looks(), []
            proven.read("it", look)
            session.run("add table bridge ours\n")
            found.append(proven.read("it", look))
            with proven.writing({}):
                run("nft add table ip theirs", "nft add table ip others")
            found.append(proven.read("it", look))
            # Refused: nothing was done.
            with proven.writing({}):
                pass
            found.append(proven.read("it", look))
            return found

    assert namespace.call(steps) == [1, 2, 2]


def test_what_changes_while_one_looks_is_not_known(namespace):
    """Before one has it or after: nobody knows which it shows."""

    def steps():
        proven, look = Proven(), Looks()

        def disturbed():
            run(f"nft add table ip t{look.count}")
            return look()

        found = [proven.read("it", disturbed) for _ in range(3)]
        assert proven.at(["it"]) is None
        # And nobody writes from here on.
        return [*found, proven.read("it", look), proven.read("it", look)]

    assert namespace.call(steps) == [1, 2, 3, 4, 4]


def test_what_is_noted_stands_until_somebody_writes_or_says_so(namespace):
    def steps():
        proven, found = Proven(), []

        def has():
            found.append(proven.has("it"))

        has()
        proven.note("it")
        has()
        proven.drop("it")
        has()
        proven.note("it")
        run("nft add table ip others")
        has()
        return found

    assert namespace.call(steps) == [False, True, False, False]


def test_what_was_lost_is_not_had_again_by_what_follows(namespace):
    """Neither by others' that is innocent, nor by what we write ourselves."""

    def carried():
        proven, look = Proven(), Looks()
        proven.read("it", look)
        run("nft add table ip others", "nft add table ip theirs")
        proven.carry([(generation(proven.asking), ())])
        return proven.read("it", look)

    def written():
        with Session() as session:
            proven, look = session.proven, Looks()
            proven.read("it", look)
            run("nft add table ip more")
            session.run("add table bridge ours\n")
            return proven.read("it", look)

    assert namespace.call(carried) == 2
    assert namespace.call(written) == 2


def test_what_stands_for_no_one_count_is_written_at_none(namespace):
    def steps():
        proven, look = Proven(), Looks()
        proven.read("it", look)
        first = proven.at(["it"])
        run("nft add table ip others")
        proven.read("other", look)
        return first, proven.at(["other"]), proven.at(["it", "other"])

    first, second, both = namespace.call(steps)
    assert (second, both) == (first + 1, None)


def test_what_was_carried_is_read_again_in_time_and_nothing_else(namespace):
    def steps():
        proven, look, found = Proven(), Looks(), []

        def read(name):
            found.append(proven.read(name, look))

        read("it")
        run("nft add table ip others")
        proven.carry([(proven.at(["it"]) + 1, ())])
        read("it")
        read("other")
        proven.forget_carried()
        read("it")
        read("other")
        # Carried once more, and lost and read after that.
        run("nft add table ip theirs")
        proven.carry([(proven.at(["it"]) + 1, ())])
        run("nft add table ip more")
        read("it")
        proven.forget_carried()
        read("it")
        return found

    assert namespace.call(steps) == [1, 1, 2, 3, 2, 4, 4]


def test_what_others_do_beside_us_is_no_reason_to_read_again(namespace):
    wanted = planned(1, 2)
    theirs = (
        "iptables -A INPUT -s 192.0.2.1 -j DROP",
        "iptables -A FORWARD -s 192.0.2.1 -j DROP",
        "iptables -D FORWARD -s 192.0.2.1 -j DROP",
        "iptables -N DOCKER",
        "nft add table inet theirs",
        "nft add table inet flatnet-of-others",
    )

    def reads():
        known, watch, found = WorkerCache(), Watch(), []

        def look():
            known.proven.carry(watch.drain().carried)
            return [
                known.proven.read(key, lambda key=key: found.append(key) or 1)
                for key in (tables_key(4), tables_key(6), "it")
            ]

        assert apply_firewall(wanted, known).failures == ()
        look()
        for command in theirs:
            run(command)
            look()
        before = len(found)
        for command in ("iptables -D FORWARD 1", "iptables -F"):
            run(command)
            look()
        run("nft add table inet flatnet")
        look()
        watch.close()
        return found[before:]

    lost = [tables_key(4)]
    # Nothing is carried over what touched the guard.
    everything = [tables_key(4), tables_key(6), "it"]
    assert namespace.call(reads) == lost + lost + everything


def test_whatever_is_clobbered_is_repaired_by_who_remembers(namespace):
    wanted = planned(1, 2)

    def shown():
        rules = []
        for family in ("ip", "ip6"):
            saved = subprocess.check_output(
                [f"{family}tables-save"], text=True
            )
            rules.append(filled(saved.splitlines()))
        return rules, subprocess.check_output(["ipset", "list", "-n"])

    def steps():
        known = WorkerCache()
        assert apply_firewall(wanted, known).failures == ()
        assert apply_firewall(wanted, known).made == ()
        good = shown()
        for command in CLOBBERS:
            run(command)
            known.sets.forget()
            assert apply_firewall(wanted, known).failures == (), command
            assert shown() == good, command
            assert apply_firewall(wanted, known).made == (), command
        return True

    assert namespace.call(steps)


def test_rules_that_were_written_are_read_back_after_the_answer(
    namespace, tmp_path
):
    rows = snapshot(
        networks=(network(enable_dhcp=False),), interfaces=(interface(1),)
    )
    options = settings(allow_same_net_traffic=False, public_interface="lo")
    parts = parts_of(rows, options).parts
    wanted = difference(Parts(parts.host), parts)
    request = channel.Request(work=channel.Work(1, wanted))

    def steps():
        daemon, connection = socket.socketpair()
        _, events = os.pipe()
        with Session() as session:
            worker = Worker(
                connection, HostPaths(str(tmp_path)), session, events
            )
            channel.send(daemon, request)
            worker._answer()
            reply = channel.receive_reply(daemon)
            known = [session.proven.has(tables_key(f)) for f in (4, 6)]
            path = f"/proc/{os.getpid()}/task/{os.getpid()}/children"
            waiting = Path(path).read_text().split()
            return reply, known, len(waiting)

    reply, known, waiting = namespace.call(steps)
    assert reply.changes.failures == ()
    assert known == [True, True]
    # Those that write the next ones.
    assert waiting == 2
