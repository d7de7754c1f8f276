"""What a host found of its ports, while others want something else."""

import pytest
from sqlalchemy import update

from flatnet.cmd.hostrows import DatabaseRows
from flatnet.db import allocation, bindings, findings, models
from flatnet.db.batch import Batch
from flatnet.db.orders import Placing
from flatnet.plan.kept_rows import Kept
from flatnet.plan.port import port_name
from flatnet.state.changes import Changes, FoundPort
from flatnet.state.rows import GONE, SERVING, Finding
from flatnet.state.scope import EVERYTHING
from tests.db.conftest import (
    HOLDER,
    a_network,
    allocate,
    an_instance,
    bound_here,
    rows,
)
from tests.db.gathering import some, statements

WANTED = {"host": "node1"}


@pytest.fixture
def pair(database):
    """Two instances that were allocated on node1, with their interfaces."""
    a_network(database)
    found = {}
    for name in ("vm_1", "vm_2"):
        instance = an_instance(database, hostname=name)
        allocate(database, instance)
        (row,) = rows(
            database, models.virtual_interfaces, instance_uuid=instance.uuid
        )
        found[instance.uuid] = row["uuid"]
    return found


def record(database, pair, found, known):
    """Record the same of both; return what the host has then."""
    new = [Finding(vif, uuid, found) for uuid, vif in pair.items()]
    recorded = findings.record(
        database, host="node1", findings=new, known=known
    )
    now = bound_here(database, "node1")
    assert {each.interface_uuid: each for each in recorded.bindings} == now
    return now


def test_a_port_that_is_wanted_no_more_is_not_found(database, pair):
    before = bound_here(database, "node1")
    first, second = pair
    bindings.dismiss(database, instance_uuid=second, **WANTED)
    now = record(database, pair, "up", before)
    assert (now[pair[first]].wanted, now[pair[first]].found) == (SERVING, "up")
    assert (now[pair[second]].wanted, now[pair[second]].found) == (GONE, None)


def test_a_tombstone_that_is_wanted_again_stays(database, pair):
    """And the one beside it is not bound anew, though its interface is."""
    first, second = pair
    for uuid in pair:
        bindings.dismiss(database, instance_uuid=uuid, **WANTED)
    moved = update(models.instances).where(models.instances.c.uuid == first)
    database.write(lambda c: c.execute(moved.values(host="node3")).rowcount)
    before = bound_here(database, "node1")
    bindings.expect(database, instance_uuid=second, plug="tap", **WANTED)
    now = record(database, pair, "missing", before)
    assert now.keys() == {pair[second]}
    assert now[pair[second]].wanted == SERVING


def test_what_is_known_comes_to_what_is_compared(database, pair):
    """Found by rows as they were known, or with nothing known at all."""
    fields = ("found", "carrier", "reason", "plug", "wanted")
    table = models.port_bindings
    seen = []
    for known in (bound_here(database, "node1"), {}):
        record(database, pair, "up", known)
        seen.append(
            [[row[each] for each in fields] for row in rows(database, table)]
        )
        assert all(row["seen_at"] for row in rows(database, table))
        reset = update(table).values(found=None, carrier=None, seen_at=None)
        database.write(lambda c, reset=reset: c.execute(reset).rowcount)
    assert seen[0] == seen[1]


FIELDS = ("found", "carrier", "reason", "plug")


def some_findings(bound):
    """Of each that is bound something else, in one column or another."""
    for number, (vif, each) in enumerate(sorted(bound.items())):
        yield Finding(
            vif,
            each.instance_uuid,
            ("up", "held")[number % 2],
            number % 3 == 0,
            None if number < 4 else f"no room for {number}",
            each.plug,
        )


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("number", [1, 12])
def test_whatever_ports_are_found_to_be_is_one_statement(
    database, number, is_known
):
    a_network(database)
    allocation.allocate_all(
        database, Batch(some(database, number)), Placing("node1")
    )
    plugs = update(models.port_bindings).where(
        models.port_bindings.c.id % 2 == 0
    )
    database.write(lambda c: c.execute(plugs.values(plug="veth")).rowcount)
    known = bound_here(database, "node1")
    new = list(some_findings(known))
    with statements(database) as sent:
        findings.record(
            database,
            host="node1",
            findings=new,
            known=known if is_known else {},
        )
    assert len([each for each in sent if each.startswith("UPDATE")]) == 1
    assert len(sent) == 2 or not is_known
    written = rows(database, models.port_bindings)
    assert {
        row["interface_uuid"]: tuple(row[each] for each in FIELDS)
        for row in written
    } == {
        each.interface_uuid: tuple(getattr(each, name) for name in FIELDS)
        for each in new
    }


def test_a_port_that_stands_says_of_what_kind_it_is(database, pair):
    """Where nobody has written it, as before an upgrade; else that stays."""
    table = models.port_bindings
    first, second = pair.values()
    unknown = update(table).where(table.c.interface_uuid == first)
    database.write(lambda c: c.execute(unknown.values(plug=None)).rowcount)
    new = [Finding(vif, uuid, "up", plug="veth") for uuid, vif in pair.items()]
    before = bound_here(database, "node1")
    findings.record(database, host="node1", findings=new, known=before)
    now = bound_here(database, "node1")
    assert now[first].plug == "veth"
    assert now[second].plug == before[second].plug == "tap"


def test_rows_that_somebody_changed_are_written_again(database, pair):
    """Though a pass finds all ports as the one before did."""
    host = DatabaseRows(database, "node1", holder=HOLDER)
    up = tuple(FoundPort(port_name(vif), "up") for vif in pair.values())
    known = Kept()

    def a_pass():
        nonlocal known
        known = host.read(EVERYTHING, known)
        known, _ = host.record(known, Changes(ports=up))
        return {each.found for each in bound_here(database, "node1").values()}

    assert a_pass() == a_pass() == {"up"}
    reset = update(models.port_bindings).values(found="missing")
    database.write(lambda c: c.execute(reset).rowcount)
    assert a_pass() == {"up"}
