"""Rules of others before ours: those that go again, and those that stay."""

import subprocess

from test_mender import PLAN, settled
from test_watch import applier, output, rules

from flatnet.apply.events import HOST
from flatnet.apply.filter.iptables import rules_above
from flatnet.apply.filter.iptables.rules_above import RulesAbove
from flatnet.apply.filter.iptables.tables import Jump, Table
from flatnet.apply.filter.iptables.touched_tables import Builtin
from flatnet.apply.filter.nft_proof import Proven
from tests.waiting import eventually

RULE = "FORWARD -d 192.0.2.9/32 -j ACCEPT"
TABLE = Table(4, "filter", jumps=(Jump("FORWARD", "flatnet-FORWARD"),))
PLACE = Builtin(4, "filter", "FORWARD")


def test_who_stays_is_overtaken_and_named(namespace, tmp_path):
    log = tmp_path / "log"

    def stayed():
        with applier(tmp_path, log) as serving:
            settled(serving)
            before = rules()
            output(f"iptables -I {RULE}")
            eventually(lambda: "mended: " in log.read_text())
            ahead = [each for each in rules() if each not in before]
            assert ahead == [f"-A {RULE}"]
            first = output("iptables -S FORWARD").splitlines()[1]
            assert first.endswith("-j flatnet-FORWARD")
            return serving.wait_for_event()

    assert namespace.call(stayed) == HOST
    (line,) = (
        each for each in log.read_text().splitlines() if "mended: " in each
    )
    assert line.endswith(
        "firewall iptables filter FORWARD: set the jumps to ours"
    )
    assert "ERROR flatnet.applier iptables (" in log.read_text()


def test_who_goes_again_in_time_is_no_news(namespace, tmp_path):
    log = tmp_path / "log"
    text = f"*filter\n-I {RULE}\nCOMMIT\n*filter\n-D {RULE}\nCOMMIT\n"

    def went():
        with applier(tmp_path, log) as serving:
            settled(serving)
            for _ in range(20):
                subprocess.run(
                    ["iptables-restore", "--noflush"],
                    input=text,
                    text=True,
                    check=True,
                )
            # Of what others do later is heard later.
            output("iptables -F flatnet-local")
            eventually(lambda: "mended: " in log.read_text())
            return serving.apply(PLAN, looked_at=()).fights

    assert namespace.call(went) == ()
    assert log.read_text().count("changed rules of flatnet") == 1


def test_only_the_same_rule_has_stayed(namespace):
    """Who opens a port for each connection has rules there all the time."""
    mark = rules_above.mark_of(rules_above.jump_line(TABLE.jumps[0]))
    namespace.run("iptables -N flatnet-FORWARD")
    namespace.run(
        f"iptables -A FORWARD -m comment --comment flatnet:{mark} "
        "-j flatnet-FORWARD"
    )

    def came():
        proven = Proven()
        found = RulesAbove(proven.asking)
        assert found.stayed(0.0) == {}

        def insert(rule):
            output(f"iptables -I FORWARD -s {rule} -j DROP")
            found.note([PLACE], "somebody", (TABLE,), now=0.0)

        insert("192.0.2.1")
        assert found.stayed(0.0) == {}
        output("iptables -D FORWARD 1")
        insert("192.0.2.2")
        seen = [found.stayed(1.0)]
        output("iptables -D FORWARD 1")
        insert("192.0.2.3")
        seen.append(found.stayed(2.0))
        seen.append(found.stayed(3.0))
        seen.append(found.stayed(4.0))
        return seen

    stayed = {PLACE: "somebody"}
    assert namespace.call(came) == [{}, {}, stayed, {}]


def test_a_chain_without_our_jump_is_for_iptables_to_tell(namespace):
    namespace.run("iptables -A FORWARD -s 192.0.2.1 -j DROP")

    def came():
        proven = Proven()
        found = RulesAbove(proven.asking)
        others = Builtin(4, "filter", "INPUT")
        found.note([PLACE, others], "somebody", (TABLE,), now=0.0)
        return found.stayed(1.0)

    assert namespace.call(came) == {PLACE: "somebody"}


def test_what_is_planned_no_more_is_waited_for_no_more(namespace):
    namespace.run("iptables -A FORWARD -s 192.0.2.1 -j DROP")

    def came():
        found = RulesAbove(Proven().asking)
        found.note([PLACE], "somebody", (TABLE,), now=0.0)
        found.note([PLACE], "somebody", (), now=0.0)
        return found.stayed(1.0)

    assert namespace.call(came) == {}
