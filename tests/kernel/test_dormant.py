"""Tables whose rules are all there, and in none of the hooks."""

import pytest
from connections import apply, silent_segment
from edited import output
from rules import EMPTY, planned
from test_watch import applier

from flatnet.apply.filter.iptables.firewall import apply_firewall
from flatnet.apply.worker_cache import WorkerCache
from tests.waiting import eventually

# All that a plan may have.
TABLES = [
    *(("ip", name) for name in ("filter", "mangle", "nat", "raw")),
    ("ip6", "filter"),
]
PLAN = planned(1, 2, dhcp=True)
ADDRESS = "10.0.0.2"


def put_to_sleep(family, table):
    send_to_sleep(family, table)
    assert is_dormant(family, table)


def send_to_sleep(family, table):
    output("nft", f"add table {family} {table} {{ flags dormant; }}")


def is_dormant(family, table):
    return "dormant" in output("nft", "list", "table", family, table)


def shown(family):
    lines = output(f"{family}tables-save").splitlines()
    return [line for line in lines if line.startswith("-A")]


@pytest.mark.parametrize("family", ["ip", "ip6"])
def test_it_is_woken_at_once(namespace, tmp_path, family):
    def mended():
        with applier(tmp_path, tmp_path / "log") as serving:
            before = shown(family)
            # It may be awake again before anybody could ask.
            send_to_sleep(family, "filter")
            eventually(lambda: not is_dormant(family, "filter"))
            assert shown(family) == before
            assert serving.wait_for_event()

    namespace.call(mended)
    told = (tmp_path / "log").read_text()
    assert "changed rules of flatnet" in told
    assert f"table {family} filter was dormant" in told


def test_who_starts_wakes_all(namespace, tmp_path):
    def started():
        with applier(tmp_path, tmp_path / "log"):
            pass
        for family in ("ip", "ip6"):
            put_to_sleep(family, "filter")
        with applier(tmp_path, tmp_path / "log"):
            return [is_dormant(family, "filter") for family in ("ip", "ip6")]

    assert namespace.call(started) == [False, False]


@pytest.mark.parametrize(("family", "table"), TABLES)
def test_a_pass_wakes_it_tells_and_writes_nothing(namespace, family, table):
    def steps():
        known = WorkerCache()
        assert apply_firewall(PLAN, known).failures == ()
        # Who remembers, and who has just been started.
        for each in (known, WorkerCache()):
            before = shown(family)
            put_to_sleep(family, table)
            changes = apply_firewall(PLAN, each)
            assert (changes.made, changes.failures) == ((), ())
            (told,) = changes.warnings
            assert f"table {family} {table} was dormant" in told
            assert "\n" not in told
            assert (ADDRESS in changes.judged) == (table == "filter")
            assert not is_dormant(family, table)
            assert shown(family) == before
            assert apply_firewall(PLAN, each).warnings == ()
        return True

    assert namespace.call(steps)


def test_another_programs_table_before_our_first_pass(namespace):
    namespace.run("nft add table ip filter { flags dormant; }")

    def steps():
        # Where nothing is planned it may be as it is meant to be.
        assert apply_firewall(EMPTY, WorkerCache()).warnings == ()
        assert is_dormant("ip", "filter")
        changes = apply_firewall(PLAN, WorkerCache())
        assert len(changes.warnings) == 1
        return is_dormant("ip", "filter")

    assert namespace.call(steps) is False


def test_what_cannot_be_read_is_woken_too(namespace):
    def steps():
        apply_firewall(PLAN, WorkerCache())
        output("nft", "add rule ip filter INPUT ct state established accept")
        put_to_sleep("ip", "filter")
        (told,) = apply_firewall(PLAN, WorkerCache()).warnings
        assert "was dormant" in told
        assert "cannot read its table ip filter" in told
        return is_dormant("ip", "filter")

    assert namespace.call(steps) is False


def test_packets_are_filtered_again():
    with silent_segment() as net:

        def passes():
            ping = f"ping -c1 -W1 {ADDRESS}"
            said = net.guests[2].namespace.run(ping, check=False)
            return "1 received" in said

        apply(net)
        assert not passes()
        net.node.call(put_to_sleep, "ip", "filter")
        # Else nothing begins meanwhile.
        net.node.run("nft flush chain inet flatnet unjudged")
        assert passes()
        apply(net)
        assert not passes()
