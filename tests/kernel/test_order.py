"""In a pass what drops comes before what lets in, in rules and guard."""

import re
from dataclasses import replace

from host_state import output
from test_host import OPTIONS, ROWS, directory, emptied, tools

from flatnet.apply import host
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.filter.iptables import ipset
from flatnet.apply.host import HostPaths, Task, apply_task
from flatnet.state.rows import SecurityGroup, SecurityRule
from tests.builders import interface
from tests.planned import host_plan

__all__ = ("directory",)
ONE, TWO = "10.0.0.2", "10.0.0.3"
ISOLATED = replace(OPTIONS, allow_same_net_traffic=False)


def plan(*addresses):
    """Two guests, each in a group of its own, who have these."""
    guests = tuple(
        interface(n, security_group_ids=(n,), addresses=(address,))
        for n, address in enumerate(addresses, 1)
    )
    groups = tuple(
        SecurityGroup(n, f"g{n}", (SecurityRule(n, "tcp", n, n),))
        for n in (1, 2)
    )
    rows = replace(ROWS, interfaces=guests, security_groups=groups)
    return host_plan(rows, ISOLATED, {})


def leads():
    """To whose port the guard takes which address."""
    shown = output("nft", "list", "table", "bridge", "flatnet")
    found = re.findall(r'"tapaaaaaa0(\d)-aa" \. (10\.0\.0\.\d)', shown)
    return {(int(number), address) for number, address in found}


def test_an_address_leads_to_its_holder_before_he_is_let_in(
    namespace, directory, monkeypatch
):
    """Two exchange theirs: no rule of the one is ever about the other."""
    opened = ipset.open_sets
    seen = []

    def opening(*edits):
        seen.append(leads())
        return opened(*edits)

    def exchanged():
        with Session() as session:
            mine = tools(HostPaths(str(directory)), session)
            assert not apply_task(Task(plan(ONE, TWO)), mine).changes.failures
            seen.append(leads())
            monkeypatch.setattr(ipset, "open_sets", opening)
            assert not apply_task(Task(plan(TWO, ONE)), mine).changes.failures
        return seen

    before, meanwhile = namespace.call(exchanged)
    assert before == {(1, ONE), (2, TWO)}
    assert meanwhile == {(1, TWO), (2, ONE)}
    emptied(namespace, directory)


def test_what_its_last_holder_began_is_cut_while_nobody_has_it(
    namespace, directory, monkeypatch
):
    opened, forget = ipset.open_sets, host.forget_connections
    seen = []

    def opening(*edits):
        seen.append(("let in", leads()))
        return opened(*edits)

    def forgetting(plan, addresses, session):
        seen.append((addresses, leads()))
        return forget(plan, addresses, session)

    def exchanged():
        with Session() as session:
            mine = tools(HostPaths(str(directory)), session)
            monkeypatch.setattr(host, "forget_connections", forgetting)
            assert not apply_task(Task(plan(ONE, TWO)), mine).changes.failures
            assert seen == []
            monkeypatch.setattr(ipset, "open_sets", opening)
            assert not apply_task(Task(plan(TWO, ONE)), mine).changes.failures
        return seen

    assert namespace.call(exchanged) == [
        ({ONE, TWO}, set()),
        ("let in", {(1, TWO), (2, ONE)}),
    ]
    emptied(namespace, directory)
