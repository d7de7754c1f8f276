"""What the firewall's applier refuses, survives and reports."""

import errno
from dataclasses import replace

from forced import RULES, plan_of_groups
from rules import EMPTY, address, applied, planned
from segment import guest

from flatnet.apply.command import _PATH
from flatnet.apply.filter.iptables.firewall import apply_firewall
from flatnet.apply.filter.iptables.ipset_messages import SetError, SetSocket
from flatnet.apply.filter.iptables.rendering import Rendering
from flatnet.apply.worker_cache import WorkerCache
from flatnet.state.changes import group_key
from flatnet.state.effects import Subject, Surface, Verb
from tests.effects import chain, ipset

BAD = "flatnet-g-1"


def spoil(monkeypatch):
    """Have the chain of group 1 as of a kernel that does not know a match."""

    def spoilt(rendering, wanted):
        found = rules_of(rendering, wanted)
        return replace(found, tables=tuple(map(_spoilt, found.tables)))

    rules_of = Rendering.rules
    monkeypatch.setattr(Rendering, "rules", spoilt)


def _spoilt(table):
    if table.family == 6:
        return table
    rule = "-p tcp -m tcp --dport 70000 -j ACCEPT"
    chains = (
        replace(each, rules=(rule, *each.rules)) if each.name == BAD else each
        for each in table.chains
    )
    return replace(table, chains=tuple(chains))


def test_a_bad_chain_shuts_its_group_and_no_other(namespace, monkeypatch):
    good = planned(1, 2, 3)
    written = chain(Verb.WRITTEN, BAD)
    spoil(monkeypatch)
    for _ in range(2):
        changes = namespace.call(apply_firewall, good, WorkerCache())
        (failure,) = changes.failures
        assert failure.subject == written.subject
        assert "70000" in failure.message
        assert "group 1 lets nothing in" in failure.message
        assert guest(2).instance_uuid in failure.instances
        assert namespace.run(f"iptables -S {BAD}").splitlines()[1:] == []
        assert len(namespace.run("iptables -S").splitlines()) > 20
    assert changes.made == ()
    monkeypatch.undo()
    assert written in applied(namespace, good)


def test_a_chain_that_grows_beside_a_bad_one_has_each_rule_once(
    namespace, monkeypatch
):
    before, after = (
        plan_of_groups(1, 2, rules=RULES[:count]).filter for count in (1, 2)
    )
    applied(namespace, before)
    spoil(monkeypatch)
    changes = namespace.call(apply_firewall, after, WorkerCache())
    (failure,) = changes.failures
    assert failure.subject == chain(Verb.WRITTEN, BAD).subject
    rules = namespace.run("iptables -S flatnet-g-2").splitlines()[1:]
    assert len(rules) == len(set(rules)) == 2


def test_a_set_of_another_type_is_reported(namespace):
    """It would let in whoever is in it."""
    namespace.run("ipset create flatnet-g4-7 hash:ip")
    namespace.run("ipset add flatnet-g4-7 10.0.0.77")
    changes = namespace.call(apply_firewall, planned(1), WorkerCache())
    (failure,) = changes.failures
    assert "group 1 lets nothing in" in failure.message
    assert failure.key == group_key(1)
    assert namespace.run(f"iptables -S {BAD}").splitlines()[1:] == []
    assert failure.subject == Subject(Surface.IPSET, "flatnet-g4-7")
    assert failure.instances == (guest(1).instance_uuid,)


def test_a_stale_set_of_another_type_is_no_hindrance(namespace):
    namespace.run("ipset create flatnet-old hash:ip,port")
    namespace.run("ipset add flatnet-old 10.0.0.2,tcp:22")
    removed = ipset(Verb.REMOVED, "flatnet-old")
    assert removed in applied(namespace, planned(1))


def test_a_set_that_keeps_who_left_lets_nobody_in(namespace, monkeypatch):
    stays = SetError(errno.EBUSY)

    def refused(writer, name, members):
        if name == "flatnet-g4-7" and members:
            raise stays
        return delete(writer, name, members)

    applied(namespace, planned(1, members=("10.0.0.8", "10.0.0.9")))
    delete = SetSocket.delete
    monkeypatch.setattr(SetSocket, "delete", refused)
    less = planned(1, members=("10.0.0.9",))
    (failure,) = namespace.call(apply_firewall, less, WorkerCache()).failures
    assert (failure.key, failure.instances) == (
        group_key(1),
        (guest(1).instance_uuid,),
    )
    assert namespace.run(f"iptables -S {BAD}").splitlines()[1:] == []
    monkeypatch.undo()
    assert chain(Verb.WRITTEN, BAD) in applied(namespace, less)
    assert "10.0.0.8" not in namespace.run("ipset list flatnet-g4-7")


def test_a_set_that_takes_no_more_is_no_other_set_s_loss(namespace):
    namespace.run("ipset create flatnet-g4-7 hash:net hashsize 64 maxelem 1")
    plan = planned(1, members=("10.0.0.8", "10.0.0.9"))
    changes = namespace.call(apply_firewall, plan, WorkerCache())
    (failure,) = changes.failures
    assert failure.subject == Subject(Surface.IPSET, "flatnet-g4-7")
    assert "full" in failure.message
    for name in ("flatnet-filtered4", "flatnet-p4-6"):
        members = namespace.run("ipset", "list", name).split("Members:")[1]
        assert members.split() == [address(1)]


def test_leftovers_in_the_other_backend_are_told(namespace):
    namespace.run("iptables-legacy -N flatnet-local")
    changes = namespace.call(apply_firewall, planned(1), WorkerCache())
    assert "iptables-legacy" in changes.failures[0].message


def test_the_legacy_backend_does_as_well(namespace, monkeypatch, tmp_path):
    for name in ("iptables", "ip6tables"):
        for part in ("save", "restore"):
            link = tmp_path / f"{name}-{part}"
            link.symlink_to("/usr/sbin/xtables-legacy-multi")
    monkeypatch.setattr("flatnet.apply.command._PATH", f"{tmp_path}:{_PATH}")
    assert applied(namespace, planned(1, 2))
    assert applied(namespace, planned(1, 2)) == ()
    written = chain(Verb.WRITTEN, "flatnet-g-1")
    namespace.run("iptables-legacy -I flatnet-g-1 1 -j ACCEPT")
    made = applied(namespace, planned(1, 2))
    assert made == (written,)
    assert "flatnet" not in namespace.run("iptables-save")
    applied(namespace, EMPTY)
    assert "flatnet" not in namespace.run("iptables-legacy-save")
    assert "flatnet" not in namespace.run("ip6tables-legacy-save")
    assert namespace.run("ipset list -n") == ""


def test_without_iptables_one_line_says_so(namespace, monkeypatch):
    monkeypatch.setattr("flatnet.apply.command._PATH", "/nonexistent")
    changes = namespace.call(apply_firewall, planned(1), WorkerCache())
    messages = {failure.message for failure in changes.failures}
    assert "iptables is not installed: apt-get install iptables" in messages
    assert namespace.call(apply_firewall, EMPTY, WorkerCache()).failures == ()
