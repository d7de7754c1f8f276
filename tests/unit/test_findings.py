"""Who has a port, as the plan has it, and what passes find of it."""

import pytest

from flatnet.plan.findings import findings
from flatnet.plan.port import port_name
from flatnet.state.changes import FoundPort
from flatnet.state.rows import ARRIVING, GONE, SERVING, Binding, Finding
from tests.builders import interface, settings, snapshot
from tests.planned import bridges, host_plan, kept_rows

HERE = interface(1, host="node1")
THERE = interface(1, host="node2")
NAME = port_name(HERE.uuid)


def binding(wanted=SERVING, **fields):
    return Binding(HERE.uuid, HERE.instance_uuid, wanted, **fields)


def planned(row, *bound, elsewhere=(), **options):
    rows = snapshot(interfaces=(row,), bindings=bound, elsewhere=elsewhere)
    (bridge,) = bridges(rows, settings(**options), {})
    (port,) = bridge.ports
    return port


@pytest.mark.parametrize(
    ("row", "bound", "elsewhere", "stays"),
    [
        (HERE, (binding(),), (), "always"),
        (HERE, (), (), "always"),
        (HERE, (binding(ARRIVING),), (HERE.uuid,), "always"),
        (THERE, (binding(ARRIVING),), (), "always"),
        (THERE, (binding(),), (), "used"),
        (THERE, (binding(),), (HERE.uuid,), "shut"),
        (interface(1, host=None), (binding(),), (), "always"),
    ],
)
def test_how_long_a_port_stays(row, bound, elsewhere, stays):
    assert planned(row, *bound, elsewhere=elsewhere).stays == stays


def test_a_port_is_of_the_kind_that_it_was_made_as():
    made = planned(HERE, binding(plug="tap"), vif_plug="veth")
    assert (made.kind, made.peer, made.owner) == ("tap", None, "root")
    made = planned(HERE, binding(plug="veth"), vif_plug="external")
    assert (made.kind, made.peer) == ("veth", "vif" + NAME[3:])
    assert planned(HERE, binding(), vif_plug="veth").kind == "veth"
    assert planned(HERE, vif_plug="veth").kind == "veth"


def test_what_is_to_go_is_named():
    rows = snapshot(bindings=(binding(GONE),))
    assert host_plan(rows, settings(), {}).gone == (NAME,)
    rows = snapshot(bindings=(binding(),))
    assert host_plan(rows, settings()).gone == ()


@pytest.mark.parametrize(("moved", "named"), [(True, (NAME,)), (False, ())])
def test_whose_guest_goes_on_elsewhere_is_named(moved, named):
    rows = snapshot(bindings=(binding(GONE, moved=moved),))
    assert host_plan(rows, settings(), {}).moved == named


def news(row, bound, found, **fields):
    rows = snapshot(
        interfaces=(row,) if row else (), bindings=(bound,) if bound else ()
    )
    port = FoundPort(NAME, found, **fields)
    return findings(kept_rows(rows), "node1", (port,))


def a_finding(found, **fields):
    return (Finding(HERE.uuid, HERE.instance_uuid, found, **fields),)


@pytest.mark.parametrize(
    ("row", "bound", "found", "fields"),
    [
        (HERE, binding(), "up", {"carrier": True, "kind": "tap"}),
        (HERE, None, "up", {"kind": "veth"}),
        (HERE, binding(found="up"), "up", {"carrier": True}),
        (HERE, binding(found="up"), "shut", {"reason": "no room"}),
        (HERE, binding(found="up"), "up", {"kind": "tap"}),
        (HERE, binding(ARRIVING, found="up"), "up", {}),
        (None, binding(GONE), "missing", {}),
    ],
)
def test_what_is_news(row, bound, found, fields):
    plug = fields.get("kind")
    expected = {k: v for k, v in fields.items() if k != "kind"}
    assert news(row, bound, found, **fields) == a_finding(
        found, plug=plug, **expected
    )


@pytest.mark.parametrize(
    ("row", "bound", "found", "fields"),
    [
        (HERE, binding(found="missing"), "missing", {}),
        (
            HERE,
            binding(found="up", carrier=True, plug="tap"),
            "up",
            {"carrier": True, "kind": "tap"},
        ),
        (THERE, binding(ARRIVING, found="up"), "up", {}),
        (None, binding(GONE), "held", {}),
        (None, binding(GONE, found="missing"), "missing", {}),
    ],
)
def test_what_is_no_news(row, bound, found, fields):
    assert news(row, bound, found, **fields) == ()


def test_of_a_port_that_was_not_looked_at_nothing_is_news():
    rows = snapshot(interfaces=(HERE,), bindings=(binding(ARRIVING),))
    assert findings(kept_rows(rows), "node1", ()) == ()


def test_a_long_reason_is_news_once():
    """Rows hold so much of it, and are compared with what they hold."""
    text = "x" * 1000
    (finding,) = news(HERE, binding(), "shut", reason=text)
    assert finding.reason == text[:255]
    known = binding(found="shut", reason=finding.reason)
    assert news(HERE, known, "shut", reason=text) == ()
