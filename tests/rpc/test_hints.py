"""Who looks at the rows again when a security group changed."""

import contextlib
import threading
import time

import pytest
from sqlalchemy import event, insert
from test_places import other
from test_rpc import CONTEXT, api, broker, database, new_instance, node

from flatnet import exceptions
from flatnet.db import memberships, models, security_groups
from flatnet.state.scope import EVERYTHING, Scope

__all__ = ("api", "broker", "database", "node", "other")


class Asks:
    """How often a node was asked for a pass."""

    def __init__(self, node):
        node.reconciler.ask_and_wait(20, EVERYTHING)
        self._ask = node.reconciler._asks.ask
        self.count = 0
        self.scope = None
        node.reconciler._asks.ask = self._counted

    def _counted(self, scope):
        self.count += 1
        self.scope = scope
        return self._ask(scope)

    def of(self, act):
        """Return how often `act` asks."""
        before = self.count
        act()
        return self.count - before


@pytest.fixture
def web(database):
    """Group web lets in what members of front send; their ids."""
    made = {
        name: security_groups.create(database, name=name, project_id="blue").id
        for name in ("web", "front", "idle")
    }
    security_groups.create_rule(
        database, group=made["web"], source_group=made["front"]
    )
    return made


def join(database, group, uuid):
    table = models.security_group_instance_association
    row = insert(table).values(security_group_id=group, instance_uuid=uuid)
    database.write(lambda connection: connection.execute(row).rowcount)


def hint(node, *groups, of=None):
    """What a fanout does here; the broker's part is in test_rpc."""
    return lambda: node.manager.groups_changed(frozenset(groups), of)


@contextlib.contextmanager
def questions(database):
    """A list that will have what is read."""
    sent = []

    def note(_connection, _cursor, statement, *_):
        sent.append(statement)

    engine = database._reading
    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it has heard nothing"
        time.sleep(0.01)


def test_who_has_nothing_of_a_group_does_nothing(node, other, database, web):
    mine, theirs = new_instance(database), new_instance(database, "node2")
    join(database, web["web"], mine)
    join(database, web["front"], theirs)
    here, there = Asks(node), Asks(other)
    assert here.of(hint(node, web["web"])) == 1
    assert here.of(hint(node, web["front"])) == 1
    assert here.of(hint(node, web["idle"])) == 0
    assert there.of(hint(other, web["web"])) == 0
    assert there.of(hint(other, web["front"])) == 1


def test_no_database_is_asked_whether_a_hint_that_says_whose_matters(
    api, node, database, web
):
    """All hosts hear of each member, and all have the same database."""
    mine, theirs = new_instance(database), new_instance(database, "node2")
    join(database, web["web"], mine)
    api.allocate_for_instance(CONTEXT, instance_id=mine, host="node1")
    here = Asks(node)
    for of in (frozenset(), frozenset([theirs])):
        with questions(database) as asked:
            assert here.of(hint(node, web["idle"], of=of)) == 0
        assert asked == []
        assert here.of(hint(node, web["front"], of=of)) == 1


def test_a_hint_of_who_is_here_is_heard_whatever_the_group(
    api, node, database, web
):
    mine = new_instance(database)
    api.allocate_for_instance(CONTEXT, instance_id=mine, host="node1")
    asks = Asks(node)
    assert asks.of(hint(node, web["idle"], of=frozenset([mine]))) == 1


def test_who_has_just_left_a_group_looks_again(api, node, database, web):
    mine = new_instance(database)
    join(database, web["web"], mine)
    api.allocate_for_instance(CONTEXT, instance_id=mine, host="node1")
    asks = Asks(node)
    table = models.security_group_instance_association
    database.write(lambda c: c.execute(table.delete()).rowcount)
    assert asks.of(hint(node, web["web"])) == 1
    node.reconciler.ask_and_wait(20, EVERYTHING)
    assert asks.of(hint(node, web["web"])) == 0


def test_a_hint_during_a_pass_is_never_lost(
    api, node, database, web, monkeypatch
):
    """The pass may have read the group, and the rows by now have it not."""
    mine = new_instance(database)
    api.allocate_for_instance(CONTEXT, instance_id=mine, host="node1")
    asks = Asks(node)
    join(database, web["idle"], mine)
    entered, left = threading.Event(), threading.Event()
    apply = node.applier.apply

    def slowly(*arguments, **named):
        entered.set()
        assert left.wait(20)
        return apply(*arguments, **named)

    monkeypatch.setattr(node.applier, "apply", slowly)
    node.reconciler.ask(EVERYTHING)
    assert entered.wait(20)
    memberships.remove_instance(database, group=web["idle"], instance=mine)
    assert asks.of(hint(node, web["idle"])) == 0
    assert asks.of(hint(node, web["front"])) == 0
    left.set()
    wait_for(lambda: asks.count == 2)
    wait_for(lambda: web["idle"] not in node.reconciler.last.groups)


def test_others_hear_of_a_member_though_its_host_failed(
    api, node, other, database, web
):
    mine, theirs = new_instance(database), new_instance(database, "node2")
    join(database, web["front"], mine)
    join(database, web["web"], theirs)
    api.allocate_for_instance(CONTEXT, instance_id=theirs, host="node2")
    node.applier.refused = (mine,)
    heard = Asks(other)
    with pytest.raises(exceptions.HostSetupError):
        api.allocate_for_instance(CONTEXT, instance_id=mine, host="node1")
    wait_for(lambda: heard.count)


def test_a_hint_may_name_its_instances(api, node, other, database, web):
    """Or not, as it comes from others; a group may have thousands."""
    mine, theirs = new_instance(database), new_instance(database, "node2")
    join(database, web["front"], mine)
    join(database, web["web"], theirs)
    api.allocate_for_instance(CONTEXT, instance_id=theirs, host="node2")
    heard = Asks(other)
    groups = [web["front"]]
    whole = Scope(groups=frozenset(groups), members=frozenset(groups))
    for named, scope in (
        ({}, whole),
        ({"instance_ids": [mine]}, Scope(instances=frozenset([mine]))),
        ({"instance_ids": []}, Scope(groups=frozenset(groups))),
        ({"sender": "node1"}, whole),
    ):
        before = heard.count
        api.security_groups_changed(CONTEXT, group_ids=groups, **named)
        wait_for(lambda before=before: heard.count > before)
        assert heard.scope == scope


def test_who_comes_to_a_source_group_is_let_in_elsewhere(
    api, node, other, database, web
):
    """And who goes is not any more, though the hint names him alone."""
    mine, theirs = new_instance(database), new_instance(database, "node2")
    join(database, web["front"], mine)
    join(database, web["web"], theirs)
    other_api = {"instance_id": theirs, "host": "node2"}
    api.allocate_for_instance(CONTEXT, **other_api)

    def let_in():
        return [
            each.addresses for each in other.applier.parts.members.values()
        ]

    heard = Asks(other)
    api.allocate_for_instance(CONTEXT, instance_id=mine, host="node1")
    wait_for(lambda: let_in() == [("10.0.0.4",)])
    assert heard.scope == Scope(instances=frozenset([mine]))
    api.deallocate_for_instance(CONTEXT, instance_id=mine, host="node1")
    wait_for(lambda: let_in() in ([], [()]))


def test_a_hint_that_came_before_its_commit_is_heard_once_more(
    api, node, other, database, web
):
    """As on a cluster of databases, where no timer is to be waited for."""
    mine, theirs = new_instance(database), new_instance(database, "node2")
    join(database, web["web"], mine)
    for uuid, host in ((mine, "node1"), (theirs, "node2")):
        api.allocate_for_instance(CONTEXT, instance_id=uuid, host=host)
    asks = Asks(node)
    passes = node.reconciler._asks
    asks.of(hint(node, web["front"], of=frozenset([theirs])))
    wait_for(lambda: passes._served == passes._asked)
    assert not node.applier.parts.members
    join(database, web["front"], theirs)
    wait_for(lambda: node.applier.parts.members)


def test_so_is_one_that_does_not_say_whose_before_any_row_is_seen(
    api, node, database, web
):
    mine = new_instance(database)
    api.allocate_for_instance(CONTEXT, instance_id=mine, host="node1")
    assert Asks(node).of(hint(node, web["web"])) == 0
    join(database, web["web"], mine)
    wait_for(lambda: web["web"] in node.reconciler.last.groups)


def test_nobody_hears_of_members_that_no_rule_names(
    api, node, other, database, web
):
    mine, theirs = new_instance(database), new_instance(database, "node2")
    join(database, web["web"], mine)
    join(database, web["web"], theirs)
    told = []
    tell = node.manager._peers.security_groups_changed
    node.manager._peers.security_groups_changed = lambda context, **named: (
        told.append(named),
        tell(context, **named),
    )
    api.allocate_for_instance(CONTEXT, instance_id=mine, host="node1")
    assert told == []
    join(database, web["front"], mine)
    api.allocate_for_instance(CONTEXT, instance_id=mine, host="node1")
    (only,) = told
    assert only["group_ids"] == [web["front"]]
    assert only["instance_ids"] == [mine]


def test_who_tells_others_does_not_hear_himself(api, node, database, web):
    mine = new_instance(database)
    join(database, web["web"], mine)
    api.allocate_for_instance(CONTEXT, instance_id=mine, host="node1")
    asks = Asks(node)
    groups = [web["web"]]
    api.security_groups_changed(CONTEXT, group_ids=groups, sender="node1")
    api.security_groups_changed(CONTEXT, group_ids=groups, sender="node9")
    wait_for(lambda: asks.count)
    assert asks.count == 1


def test_who_leaves_from_another_host_is_looked_at_where_it_matters(
    api, node, other, database, web
):
    """Even where this host writes it, and so tells itself of nothing."""
    mine, plain = new_instance(database), new_instance(database, "node2")
    theirs = new_instance(database, "node2")
    join(database, web["web"], mine)
    join(database, web["front"], theirs)
    for uuid, host in ((mine, "node1"), (theirs, "node2"), (plain, "node2")):
        api.allocate_for_instance(CONTEXT, instance_id=uuid, host=host)
    asks = Asks(node)
    assert asks.of(lambda: node.manager.deallocate(plain, hint=None)) == 0
    assert asks.of(lambda: node.manager.deallocate(theirs, hint=None)) == 1
    assert asks.scope == Scope(instances=frozenset((theirs,)))
