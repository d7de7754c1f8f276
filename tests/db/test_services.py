"""Daemons: who reported, and who has the name of a host."""

from flatnet.cmd.heartbeat import Heartbeat
from flatnet.db import models, services
from tests.builders import settings
from tests.db.conftest import HOLDER, a_daemon, rows, silent

NODE = {"host": "node1", "binary": "flatnet-manager"}
CLONE = "another boot"


def claimed(database, holder=CLONE):
    return services.claim(
        database, **NODE, holder=holder, machine="a clone", patience=30
    )


def state(database):
    return [
        (each.host, each.state, each.reason)
        for each in services.list_all(database)
    ]


def test_daemons_report_and_are_known(database):
    assert services.get(database, "node1") is None
    a_daemon(database, "node1")
    assert services.report(database, **NODE, holder=HOLDER)
    a_daemon(database, "node0", state="failed", reason="x" * 1000)
    assert services.get(database, "node1").seconds_ago < 30
    assert services.get(database, "node2") is None
    listed = services.list_all(database)
    assert [service.host for service in listed] == ["node0", "node1"]
    assert all(0 <= service.seconds_ago < 30 for service in listed)
    assert listed[0].last_seen_up.endswith("Z")
    assert state(database) == [
        ("node0", "failed", "x" * 255),
        ("node1", None, None),
    ]
    counts = [row["report_count"] for row in rows(database, models.services)]
    assert sorted(counts) == [1, 2]


def test_a_name_is_one_daemons(database):
    a_daemon(database, "node1", state="ready")
    first = claimed(database)
    assert (first.machine, first.reports) == ("somewhere", 1)
    assert claimed(database) == first
    services.report(database, **NODE, holder=HOLDER)
    assert claimed(database).reports == 2
    # It comes back after a crash.
    a_daemon(database, "node1")
    # What the other one tells is not believed.
    assert not services.report(database, **NODE, holder=CLONE)
    services.tell(database, **NODE, holder=CLONE, state="stopped")
    assert state(database) == [("node1", None, None)]


def test_a_name_is_free_after_a_stop_and_after_silence(database):
    a_daemon(database, "node1", state="stopped")
    assert claimed(database) is None
    assert state(database) == [("node1", None, None)]
    silent(database, 29)
    assert claimed(database, HOLDER).machine == "a clone"
    silent(database, 2)
    assert claimed(database, HOLDER) is None
    # Who was silent for so long finds that it has the name no more.
    assert not services.report(database, **NODE, holder=CLONE)


def test_a_row_of_before_is_anybodys(database):
    row = {**NODE, "topic": "network"}
    insert = models.services.insert().values(row)
    database.write(lambda c: c.execute(insert).rowcount)
    assert claimed(database) is None


def test_a_name_whose_row_is_gone_is_taken_again(database, url):
    """As after the restore of a backup; but not from who has it by now."""
    beating = Heartbeat(settings(connection=url))
    try:
        for _ in range(2):
            delete_services(database)
            assert beating.beat()
            assert services.get(database, "node1") is not None
        delete_services(database)
        assert claimed(database) is None
        assert not beating.beat()
    finally:
        beating.close()


def delete_services(database):
    database.write(lambda c: c.execute(models.services.delete()).rowcount)
